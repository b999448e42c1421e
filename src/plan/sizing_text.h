// Sizing text: sizings as a table for terminals, as Markdown, CSV, JSON and as a page. Pure.
#pragma once

#include <span>
#include <string>

#include "plan/sizing.h"
#include "plan/usage_reader.h"

namespace penstock::plan {

// What the answers rest on, for their foot: sources and dates of tables, the file, its bad rows.
struct SizingBasis {
  std::vector<std::string> sources{};
  std::string currency = "USD";
  std::string command{};
};

std::string SizingTable(std::span<const Sizing> sizings, const SizingBasis& basis);
std::string SizingMarkdown(std::span<const Sizing> sizings, const SizingBasis& basis);
std::string SizingCsv(std::span<const Sizing> sizings);
std::string SizingJson(std::span<const Sizing> sizings, const SizingBasis& basis);

// `history` draws tokens per minute over time; nullptr: none was read.
std::string SizingPage(std::span<const Sizing> sizings, const SizingBasis& basis,
                       const UsageHistory* history);

}  // namespace penstock::plan
