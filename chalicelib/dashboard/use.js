// What jobs used, and what that cost by the prices that are set.

const NUMBER = new Intl.NumberFormat("en", {
  maximumFractionDigits: 1, maximumSignificantDigits: 2, roundingPriority: "morePrecision",
});

export function used({ vcpuHours, gbHours, gpuHours }) {
  const amounts = [[vcpuHours, "vCPU h"], [gbHours, "GB h"], [gpuHours, "GPU h"]];
  return amounts.filter(([amount]) => amount).map(([amount, unit]) => `${NUMBER.format(amount)} ${unit}`).join(", ") || "nothing";
}

export const money = ({ estimate, wasted, currency }) =>
  `${NUMBER.format(estimate)} ${currency}${wasted ? `, ${NUMBER.format(wasted)} of it for nothing` : ""}`;
