// ModelWorks: the long part of registering and measuring models, as background jobs.
//
// On the control thread; the jobs' own work is not.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "control/background_jobs.h"
#include "control/calibration_run.h"
#include "control/calibrations.h"
#include "control/catalog.h"

namespace penstock::control {

// When models are calibrated without being asked.
enum class CalibratePolicy { kNever, kFirstUse, kRegistration };

struct ModelWorksSettings {
  std::string converted_path{};  // Folder for GGUF files that were made here.
  std::string hub_path{};        // Folder for what is pulled; see Catalog's mirror.
  std::string hub_endpoint{};    // "" is the hub's own.
  std::string hub_token{};
  std::string calibration_path{};  // Folder for calibrations' logs and reports.
  std::string socket_path{};       // Folder for sockets; its path is short.
  CalibratePolicy calibrate = CalibratePolicy::kFirstUse;
  int engine_parallel = 8;        // Requests that a replica runs at once.
  int engine_context_tokens = 0;  // Of each of them; 0: the model's own.
  Machine machine{};
  // The command of a replica of the model file that listens on the address.
  std::function<std::vector<std::string>(const std::string& model, const std::string& address)>
      engine_command{};
  std::function<void()> on_calibrated = [] {};  // On the control thread.
};

struct CalibrateOptions {
  CurveLength length = CurveLength::kAuto;
  policy::CalibrationSettings settings{};
  bool asked = false;  // By somebody, not by the policy.
  int begun = 0;       // How often a restart has cut this one off.
};

// One that restarts cut off so often is not begun again: it may be what ends the server.
inline constexpr int kCalibrationRestartsMax = 3;

class ModelWorks {
 public:
  // All are borrowed and outlive this.
  ModelWorks(Catalog& catalog, Calibrations& calibrations, BackgroundJobs& jobs,
             ModelWorksSettings settings);

  // Begins what a version needs after it was added: a conversion, a pull, a calibration.
  Status Begin(const store::ModelVersionRecord& version);
  // Takes up again what a restart interrupted, and registers what lies in `models_path` as
  // system.ai. Once, at start.
  Status Resume(const std::string& models_path, WallTime now);

  // Measures the version; a second call while one waits or runs changes nothing. Errors: see
  // CheckCalibratable.
  Status Calibrate(const store::ModelVersionRecord& version, const CalibrateOptions& options);
  // Whether a new endpoint may serve it: it is ready, and fits into the memory. Begins a
  // calibration where the policy says so.
  Status CheckUse(const store::ModelVersionRecord& version);
  // Calibrates where the policy says so and nothing is known; never an error.
  void NoteUse(const store::ModelVersionRecord& version);

  // kUnsupported, with the reason: an external model, one that does not fit into memory.
  // kConflict: not registered to the end.
  Status CheckCalibratable(const store::ModelVersionRecord& version) const;

  std::optional<policy::Calibration> CalibrationOf(const store::ModelVersionRecord& version) {
    return calibrations_.Find(version.fingerprint);
  }
  std::string ReportPathOf(const store::ModelVersionRecord& version) const;

  BackgroundJobs& jobs() { return jobs_; }
  const BackgroundJobs& jobs() const { return jobs_; }
  const ModelWorksSettings& settings() const { return settings_; }

 private:
  Status StartConversion(const store::ModelVersionRecord& version);
  Status StartPull(const store::ModelVersionRecord& version);
  void End(const std::string& full_name, std::int64_t version, const Status& result,
           const Catalog::Completion& completion);
  void EndCalibration(const store::ModelVersionRecord& version, const Status& result,
                      policy::Calibration made);
  // Keeps that the version's calibration has begun, or (nullopt) that it has ended.
  void MarkCalibrating(const std::string& full_name, std::int64_t version,
                       const std::optional<CalibrateOptions>& options);
  void ResumeCalibration(const store::ModelVersionRecord& version);
  Status RegisterInstalled(const std::string& path, WallTime now);
  std::string OutputPathOf(const store::ModelVersionRecord& version) const;

  Catalog& catalog_;
  Calibrations& calibrations_;
  BackgroundJobs& jobs_;
  ModelWorksSettings settings_;
};

// "main.demo.tiny/1"
std::string SubjectOf(const store::ModelVersionRecord& version);

// kExhausted, with the numbers, where the file alone is larger than the machine's memory.
Status CheckFits(const store::ModelVersionRecord& version, const Machine& machine);

}  // namespace penstock::control
