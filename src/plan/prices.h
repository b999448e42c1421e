// Prices: what a unit costs an hour, from a file that the user keeps. None are built in: they
// change, differ by region and by contract.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace penstock::plan {

inline constexpr double kHoursPerMonth = 730;

struct Prices {
  std::string currency = "USD";
  std::optional<double> ptu_global{};    // Of one PTU.
  std::optional<double> ptu_regional{};  // Likewise.
  std::optional<double> chunk{};         // Of one chunk of Databricks' provisioned throughput.
  std::optional<double> replica{};       // Of one replica on one's own machines.
};

// YAML: `currency: EUR`, `per_hour: {ptu_global: 1.0, ptu_regional: 2.0, chunk: 6, replica: 0.4}`;
// any may be left out. Errors: kInvalidArgument naming the field.
Result<Prices> ParsePrices(const std::string& yaml);

}  // namespace penstock::plan
