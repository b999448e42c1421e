// Scenario files: a fleet and its tenants as YAML, into a Scenario for the simulation.
//
// docs/sizing.md describes every field. What is wrong is named by its path: "tenants[0].range".
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "plan/simulation.h"

namespace penstock::plan {

// Reads the calibration in a file; for scenarios that name one.
using ReadCalibration = std::function<Result<policy::Calibration>(const std::string& path)>;

// Reads `path` and the files that it names, which lie relative to it. Errors name the file and the
// field.
Result<Scenario> LoadScenario(const std::string& path, const ReadCalibration& read_calibration);

// The same of text; `folder` is where relative files lie.
Result<Scenario> ParseScenario(const std::string& yaml, const std::string& folder,
                               const ReadCalibration& read_calibration = {});

// Sets what follows from a scenario's terms: lanes, concurrency, replicas.
void Derive(Scenario& scenario);

// Sets one figure of a scenario, and what follows from it: "replicas=2-6", "range=1000-3000",
// "range.TENANT=1000-3000", "chunk=500", "strategy=latency", "concurrency=8", "start_s=30",
// "prefill_budget=256", "policy=fifo". For sweeps. Errors: kInvalidArgument naming the words.
Status Vary(const std::string& name, const std::string& value, Scenario& scenario);

// Why the answer is to be doubted, for people: a fleet that no server would promise, a fit that is
// far from what was measured.
std::vector<std::string> Doubts(const Scenario& scenario);

}  // namespace penstock::plan
