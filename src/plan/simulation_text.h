// Simulation text: outcomes as a table, as JSON, and as a page that compares several runs. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "plan/simulation.h"

namespace penstock::plan {

// One run of a sweep; the only one where nothing varies.
struct SimRun {
  std::string name{};   // "replicas=4"; "" for the only one.
  Scenario scenario{};  // Its arrivals may have been dropped.
  SimOutcome outcome{};
  std::vector<std::string> doubts{};  // Doubts() of the scenario.
};

std::string SimulationTable(std::span<const SimRun> runs);
std::string SimulationJson(std::span<const SimRun> runs);
std::string SimulationPage(std::span<const SimRun> runs, const std::string& title);
// A line for each run and tenant. Times in ms, shares from 0 to 1.
std::string SimulationCsv(std::span<const SimRun> runs);
// The same, to paste into a ticket.
std::string SimulationMarkdown(std::span<const SimRun> runs, const std::string& title);

}  // namespace penstock::plan
