// ModelCommands: the parts of `penstock model`, one file each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "app/command.h"
#include "app/remote.h"

namespace penstock::app {

// register, list, show, versions, alias, delete
void AddModelCatalogCommands(Program& program, CLI::App* group);
// convert, pull, calibrate, jobs
void AddModelWorkCommands(Program& program, CLI::App* group);

// "/api/2.1/unity-catalog/models/NAME"
std::string ModelPath(const std::string& name);

// `version` if it is not 0, else the model's newest. kNotFound.
Result<std::int64_t> VersionOrNewest(const RemoteOptions& remote, const std::string& name,
                                     std::int64_t version);

// Registers a version, of a new model where there is none of this name, and waits until it is
// ready, showing progress. `body`: fields of the version. Gives the exit code.
int RegisterAndWait(const RemoteOptions& remote, const std::string& name, boost::json::object body,
                    bool wait, bool json);

// What calibration found, as a table with a bar for each point of the curve.
std::string CurveText(const boost::json::object& calibration);

// Shows how far a job is, on stderr: one line that changes on a terminal, else a line for each new
// stage.
class JobProgress {
 public:
  JobProgress();
  ~JobProgress();
  JobProgress(const JobProgress&) = delete;
  JobProgress& operator=(const JobProgress&) = delete;
  void Show(const std::string& what, std::string_view stage, std::int64_t done, std::int64_t all);

 private:
  bool terminal_;
  bool drawn_ = false;
  std::string stage_;
};

// Sleeps between two looks at the server.
void PauseBetweenLooks();

// CallForJson, of what is an object.
Result<boost::json::object> CallForObject(const RemoteOptions& options, std::string_view method,
                                          std::string_view target, std::string_view body = "");

// "4.2 GB"
std::string SizeText(std::int64_t bytes);
// "2026-11-25 15:10", in UTC, of milliseconds since 1970; "-" for 0.
std::string MomentText(std::int64_t ms);

// Members of the server's answers; "" and 0 where they are missing.
std::string TextIn(const boost::json::object& json, std::string_view key);
std::int64_t NumberIn(const boost::json::object& json, std::string_view key);

}  // namespace penstock::app
