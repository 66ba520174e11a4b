// The usage and the estimated cost of jobs.

const NUMBER = new Intl.NumberFormat("en", {
  maximumFractionDigits: 1, maximumSignificantDigits: 2, roundingPriority: "morePrecision",
});

export function usage({ vcpuHours, gbHours, gpuHours }) {
  const amounts = [[vcpuHours, "vCPU h"], [gbHours, "GB h"], [gpuHours, "GPU h"]];
  return amounts.filter(([amount]) => amount).map(([amount, unit]) => `${NUMBER.format(amount)} ${unit}`).join(", ") || "none";
}

export const money = ({ estimate, wasted, currency }) =>
  `${NUMBER.format(estimate)} ${currency}${wasted ? `, ${NUMBER.format(wasted)} wasted` : ""}`;
