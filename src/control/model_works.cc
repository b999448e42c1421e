#include "control/model_works.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>
#include <utility>

#include "base/log.h"
#include "convert/convert.h"
#include "hub/pull.h"

namespace penstock::control {
namespace {

constexpr std::string_view kEmbeddingsTask = "llm/v1/embeddings";

namespace fs = std::filesystem;

// What a job found out, for its end.
using Found = std::shared_ptr<Catalog::Completion>;

Status Convert(const std::string& path, const std::string& mirror, const std::string& output,
               const std::string& type, JobHandle& job, Catalog::Completion& found) {
  const auto folder = convert::OpenModelFolder(path, {.folder = mirror});
  if (!folder) return Fail(folder.error());
  convert::ConvertOptions options;
  if (!type.empty()) {
    const auto parsed = convert::ParseOutputType(type);
    if (!parsed) return Fail(parsed.error());
    options.type = *parsed;
  }
  options.on_progress = [&job](std::uint64_t done, std::uint64_t all) {
    job.Report("converting", static_cast<std::int64_t>(done), static_cast<std::int64_t>(all));
    return !job.stop().load();
  };
  const auto made = convert::ConvertFolder(*folder, output, options);
  if (!made) return Fail(made.error());
  found.path = output;
  found.task = folder->task;
  found.model_type = folder->model_type;
  if (found.licence.empty()) found.licence = folder->licence;
  return {};
}

Status PullModel(const hub::HubSource& source, const ModelWorksSettings& settings,
                 const std::string& output, const std::string& type, JobHandle& job,
                 Catalog::Completion& found) {
  const auto pulled = hub::Pull(source, settings.hub_path,
                                {.endpoint = settings.hub_endpoint,
                                 .token = settings.hub_token,
                                 .on_progress = [&job](const hub::PullProgress& progress) {
                                   job.Report(fmt::format("pulling {} ({} of {})", progress.file,
                                                          progress.number, progress.files),
                                              progress.done, progress.all);
                                   return !job.stop().load();
                                 }});
  if (!pulled) return Fail(pulled.error());
  found.licence = pulled->licence;
  const bool one_file = pulled->files.size() == 1 && pulled->files[0].ends_with(".gguf");
  if (one_file) {
    found.path = pulled->files[0];
    return {};
  }
  if (auto converted = Convert(pulled->folder, "", output, type, job, found); !converted) {
    return converted;
  }
  if (found.task.empty() && pulled->pipeline_tag == "feature-extraction") {
    found.task = "llm/v1/embeddings";
  }
  return {};
}

// A file's or folder's name as a model's.
std::string ModelNameOf(const fs::path& path) {
  std::string name = path.extension() == ".gguf" ? path.stem().string() : path.filename().string();
  std::ranges::transform(name, name.begin(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' ? static_cast<char>(c) : '_';
  });
  return name;
}

// Tokens that a request may have; 0 unknown.
std::int64_t ContextOf(const store::ModelVersionRecord& version, std::int64_t engine_tokens) {
  const std::int64_t own = ParseVersionDetails(version.details).context_length.value_or(0);
  return own > 0 && engine_tokens > 0 ? std::min(own, engine_tokens) : std::max(own, engine_tokens);
}

// What is kept of a calibration that has begun.
boost::json::object MarkOf(const CalibrateOptions& options) {
  return {{"length", static_cast<int>(options.length)},
          {"chunks_per_replica", options.settings.chunks_per_replica},
          {"cached_weight", options.settings.cached_weight},
          {"latency_max_ms", options.settings.latency_p90_max_ms},
          {"asked", options.asked},
          {"begun", options.begun}};
}

// Of what MarkOf() made; what is odd keeps its default.
CalibrateOptions OptionsOf(const boost::json::object& mark) {
  const auto number = [&mark](const char* key, double fallback) {
    const auto* value = mark.if_contains(key);
    boost::json::error_code failure;
    const double found = value == nullptr ? fallback : value->to_number<double>(failure);
    return failure ? fallback : found;
  };
  CalibrateOptions options;
  const int length = static_cast<int>(number("length", 0));
  if (length == static_cast<int>(CurveLength::kReference)) options.length = CurveLength::kReference;
  if (length == static_cast<int>(CurveLength::kQuick)) options.length = CurveLength::kQuick;
  options.settings.chunks_per_replica = static_cast<int>(std::clamp<double>(
      number("chunks_per_replica", policy::kChunksPerReplica), 1, policy::kChunksPerReplicaMax));
  options.settings.cached_weight = std::clamp(number("cached_weight", 0), 0.0, 1.0);
  options.settings.latency_p90_max_ms = std::max(0.0, number("latency_max_ms", 0));
  const auto* asked = mark.if_contains("asked");
  options.asked = asked != nullptr && asked->is_bool() && asked->get_bool();
  options.begun = static_cast<int>(std::clamp(number("begun", 0), 0.0, 1000.0));
  return options;
}

}  // namespace

std::string SubjectOf(const store::ModelVersionRecord& version) {
  return fmt::format("{}/{}", version.full_name, version.version);
}

Status CheckFits(const store::ModelVersionRecord& version, const Machine& machine) {
  if (machine.memory_bytes <= 0 || version.size_bytes <= machine.memory_bytes) return {};
  return Fail(Code::kExhausted,
              fmt::format("model {} has {:.1f} GB of weights, this machine {:.1f} GB of memory: it "
                          "cannot be loaded",
                          SubjectOf(version), static_cast<double>(version.size_bytes) * 1e-9,
                          static_cast<double>(machine.memory_bytes) * 1e-9));
}

ModelWorks::ModelWorks(Catalog& catalog, Calibrations& calibrations, BackgroundJobs& jobs,
                       ModelWorksSettings settings)
    : catalog_(catalog), calibrations_(calibrations), jobs_(jobs), settings_(std::move(settings)) {}

Status ModelWorks::Begin(const store::ModelVersionRecord& version) {
  const VersionDetails details = ParseVersionDetails(version.details);
  if (version.status == kVersionPending) {
    return details.kind == SourceKind::kHub ? StartPull(version) : StartConversion(version);
  }
  if (version.status == kVersionReady && settings_.calibrate == CalibratePolicy::kRegistration &&
      CheckCalibratable(version) && !CalibrationOf(version)) {
    return Calibrate(version, {});
  }
  return {};
}

Status ModelWorks::Resume(const std::string& models_path, WallTime now) {
  const auto models = catalog_.List();
  if (!models) return Fail(models.error());
  for (const store::ModelRecord& model : *models) {
    const auto versions = catalog_.ListVersions(model.full_name);
    if (!versions) return Fail(versions.error());
    for (const store::ModelVersionRecord& version : *versions) {
      ResumeCalibration(version);
      if (version.status != kVersionPending) continue;
      if (auto begun = Begin(version); !begun) return begun;
    }
  }
  std::error_code failure;
  std::vector<fs::path> installed;
  for (const auto& entry : fs::directory_iterator(models_path, failure)) {
    const bool model = entry.path().extension() == ".gguf" ||
                       fs::is_regular_file(entry.path() / "config.json", failure) ||
                       fs::is_regular_file(entry.path() / "MLmodel", failure);
    if (model) installed.push_back(entry.path());
  }
  std::ranges::sort(installed);
  for (const fs::path& path : installed) {
    // One bad file must not keep the server from starting.
    if (auto registered = RegisterInstalled(path.string(), now); !registered) {
      Log().warn("{} is not registered: {}", path.string(), registered.error().message);
    }
  }
  return {};
}

// As the next version of its model in system.ai, unless its newest version is this very file.
Status ModelWorks::RegisterInstalled(const std::string& path, WallTime now) {
  RegisterModel request{.full_name = "system.ai." + ModelNameOf(path),
                        .source = path,
                        .comment = "installed in the models folder",
                        .creator = "system"};
  const auto versions = catalog_.ListVersions(request.full_name);
  if (!versions && versions.error().code != Code::kNotFound) return Fail(versions.error());
  if (versions && !versions->empty()) {
    const store::ModelVersionRecord& newest = versions->back();
    std::error_code failure;
    if (fs::is_directory(path, failure)) return {};
    const auto file = InspectModelFile(path);
    if (!file) return Fail(file.error());
    if (file->fingerprint == newest.fingerprint) return {};
  }
  const auto version = catalog_.Register(request, now);
  if (!version) return Fail(version.error());
  Log().info("{} is {} now", path, SubjectOf(*version));
  return Begin(*version);
}

std::string ModelWorks::OutputPathOf(const store::ModelVersionRecord& version) const {
  return fmt::format("{}/{}-{}.gguf", settings_.converted_path, version.full_name, version.version);
}

std::string ModelWorks::ReportPathOf(const store::ModelVersionRecord& version) const {
  return fmt::format("{}/{}.html", settings_.calibration_path, version.fingerprint);
}

Status ModelWorks::StartConversion(const store::ModelVersionRecord& version) {
  auto found = std::make_shared<Catalog::Completion>();
  const auto started = jobs_.Start(
      {.kind = "convert",
       .subject = SubjectOf(version),
       .work = [found, source = version.source, mirror = settings_.hub_path,
                output = OutputPathOf(version),
                type = ParseVersionDetails(version.details).output_type](
                   JobHandle& job) { return Convert(source, mirror, output, type, job, *found); },
       .on_end = [this, found, name = version.full_name, number = version.version](
                     const Status& result) { End(name, number, result, *found); }});
  if (!started) return Fail(started.error());
  return {};
}

Status ModelWorks::StartPull(const store::ModelVersionRecord& version) {
  const VersionDetails details = ParseVersionDetails(version.details);
  auto source = hub::ParseHubSource(details.source, "source");
  if (!source) return Fail(source.error());
  auto found = std::make_shared<Catalog::Completion>();
  const auto started = jobs_.Start(
      {.kind = "pull",
       .subject = SubjectOf(version),
       .work =
           [found, source = std::move(*source), settings = settings_,
            output = OutputPathOf(version), type = details.output_type](JobHandle& job) {
             return PullModel(source, settings, output, type, job, *found);
           },
       .on_end = [this, found, name = version.full_name, number = version.version](
                     const Status& result) { End(name, number, result, *found); }});
  if (!started) return Fail(started.error());
  return {};
}

void ModelWorks::End(const std::string& full_name, std::int64_t number, const Status& result,
                     const Catalog::Completion& completion) {
  Status done = result;
  if (done) done = catalog_.CompleteVersion(full_name, number, completion);
  if (done) {
    Log().info("{}/{} is ready", full_name, number);
    const auto version = catalog_.GetVersion(full_name, number);
    if (version) (void)Begin(*version);  // A calibration, if the policy says so.
    return;
  }
  Log().error("{}/{}: {}", full_name, number, done.error().message);
  // Stopped with the server: it goes on with the next start.
  if (done.error().code == Code::kCancelled) return;
  if (auto failed = catalog_.FailVersion(full_name, number, done.error().message); !failed) {
    Log().error("{}/{}: {}", full_name, number, failed.error().message);
  }
}

Status ModelWorks::CheckCalibratable(const store::ModelVersionRecord& version) const {
  if (auto ready = CheckReady(version); !ready) return ready;
  if (ParseVersionDetails(version.details).kind == SourceKind::kExternal) {
    return Fail(Code::kUnsupported,
                "an external model runs on somebody else's machines: its throughput is theirs");
  }
  return CheckFits(version, settings_.machine);
}

Status ModelWorks::Calibrate(const store::ModelVersionRecord& version,
                             const CalibrateOptions& options) {
  if (auto good = CheckCalibratable(version); !good) return good;
  if (jobs_.IsActive("calibrate", SubjectOf(version))) return {};
  const std::string short_hash = version.fingerprint.substr(0, 12);
  const std::string address = fmt::format("unix:{}/c-{}.sock", settings_.socket_path, short_hash);
  CalibrationPlan plan{
      .engine_command = settings_.engine_command(version.source, address),
      .address = address,
      .log_path = fmt::format("{}/{}.log", settings_.calibration_path, version.fingerprint),
      .report_path = ReportPathOf(version),
      .context_tokens = ContextOf(version, settings_.engine_context_tokens),
      .length = options.length,
      .concurrency_max = settings_.engine_parallel,
      .settings = options.settings};
  plan.settings.embeds = TaskOf(version) == kEmbeddingsTask;
  auto made = std::make_shared<policy::Calibration>();
  const auto started = jobs_.Start(
      {.kind = "calibrate",
       .subject = SubjectOf(version),
       .work = [made, plan = std::move(plan)](JobHandle& job) -> Status {
         auto calibration = RunCalibration(plan, job);
         if (!calibration) return Fail(calibration.error());
         *made = std::move(*calibration);
         return {};
       },
       .on_end = [this, made, version](
                     const Status& result) { EndCalibration(version, result, std::move(*made)); }});
  if (!started) return Fail(started.error());
  MarkCalibrating(version.full_name, version.version, options);
  return {};
}

void ModelWorks::EndCalibration(const store::ModelVersionRecord& version, const Status& result,
                                policy::Calibration made) {
  const std::string subject = SubjectOf(version);
  Status kept = result;
  if (result) {
    made.model_hash = version.fingerprint;
    made.hardware_hash = calibrations_.hardware_hash();
    made.hardware = settings_.machine.ToString();
    made.measured_at =
        std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
    kept = calibrations_.Keep(made);
  }
  // One that was stopped with the server goes on with the next start.
  const bool stopped = !kept && kept.error().code == Code::kCancelled;
  if (!stopped) MarkCalibrating(version.full_name, version.version, std::nullopt);
  if (!kept) {
    Log().error("calibration of {}: {}", subject, kept.error().message);
    return;
  }
  Log().info("{}: {} tokens/s a chunk, {:.0f} normalised tokens/s a replica", subject,
             made.chunk_tokens_per_s, made.cost_per_s);
  settings_.on_calibrated();
}

void ModelWorks::MarkCalibrating(const std::string& full_name, std::int64_t number,
                                 const std::optional<CalibrateOptions>& options) {
  auto version = catalog_.GetVersion(full_name, number);
  if (!version) return;  // Deleted meanwhile.
  VersionDetails details = ParseVersionDetails(version->details);
  if (!options && !details.calibrating) return;
  details.calibrating.reset();
  if (options) details.calibrating = MarkOf(*options);
  version->details = Serialize(details);
  if (auto kept = catalog_.UpdateVersion(*version); !kept) {
    Log().warn("calibration of {}: {}", SubjectOf(*version), kept.error().message);
  }
}

// One that a stop or a kill cut off begins anew.
void ModelWorks::ResumeCalibration(const store::ModelVersionRecord& version) {
  const VersionDetails details = ParseVersionDetails(version.details);
  if (!details.calibrating) return;
  CalibrateOptions options = OptionsOf(*details.calibrating);
  ++options.begun;
  const bool wanted = options.asked || settings_.calibrate != CalibratePolicy::kNever;
  if (!wanted || options.begun > kCalibrationRestartsMax) {
    Log().warn("calibration of {} was cut off and is not begun again: {}", SubjectOf(version),
               wanted ? fmt::format("this has happened {} times", options.begun)
                      : std::string("nothing is to be calibrated by itself"));
    MarkCalibrating(version.full_name, version.version, std::nullopt);
    return;
  }
  Log().info("calibration of {} was cut off, and begins anew", SubjectOf(version));
  if (auto started = Calibrate(version, options); !started) {
    Log().warn("calibration of {}: {}", SubjectOf(version), started.error().message);
    MarkCalibrating(version.full_name, version.version, std::nullopt);
  }
}

Status ModelWorks::CheckUse(const store::ModelVersionRecord& version) {
  if (auto ready = CheckReady(version); !ready) return ready;
  if (auto fits = CheckFits(version, settings_.machine); !fits) return fits;
  NoteUse(version);
  return {};
}

void ModelWorks::NoteUse(const store::ModelVersionRecord& version) {
  if (settings_.calibrate == CalibratePolicy::kNever || CalibrationOf(version)) return;
  if (!CheckCalibratable(version)) return;
  const auto before = jobs_.Find("calibrate", SubjectOf(version));
  if (before && before->state == JobState::kFailed) return;  // Not again and again.
  if (auto started = Calibrate(version, {}); !started) {
    Log().warn("calibration of {}: {}", SubjectOf(version), started.error().message);
  }
}

}  // namespace penstock::control
