// penstock model convert, pull, calibrate, jobs: what takes long, with its progress.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "app/flags.h"
#include "app/json_print.h"
#include "app/model_commands.h"
#include "app/text_table.h"
#include "convert/convert.h"
#include "http/url.h"
#include "hub/pull.h"

namespace penstock::app {

namespace {

struct WorkOptions {
  RemoteOptions remote;
  std::string name;
  bool json = false;
  bool wait = true;

  std::string folder;
  std::string output;
  std::string type = "f16";
  std::string mirror;

  std::string source;
  std::string endpoint;

  std::int64_t version = 0;
  std::string length = "auto";
  int chunks = 4;
  std::int64_t latency_max_ms = 0;
};

Status Convert(const WorkOptions& options) {
  const auto type = convert::ParseOutputType(options.type);
  if (!type) return Fail(type.error());
  const auto folder = convert::OpenModelFolder(options.folder, {.folder = options.mirror});
  if (!folder) return Fail(folder.error());
  JobProgress progress;
  const auto made = convert::ConvertFolder(
      *folder, options.output,
      {.type = *type, .on_progress = [&progress](std::uint64_t done, std::uint64_t all) {
         progress.Show("", "converting", static_cast<std::int64_t>(done),
                       static_cast<std::int64_t>(all));
         return true;
       }});
  if (!made) return Fail(made.error());
  const boost::json::object json{
      {"file", options.output},   {"architecture", made->architecture},
      {"tensors", made->tensors}, {"parameters", made->parameters},
      {"bytes", made->bytes},     {"context_length", made->context_length},
      {"type", options.type}};
  if (options.json) {
    PrintJson(boost::json::serialize(json));
  } else {
    fmt::print("{}: {}, {} tensors, {} parameters, {}\n", options.output, made->architecture,
               made->tensors, made->parameters, SizeText(static_cast<std::int64_t>(made->bytes)));
  }
  return {};
}

// Without a server: into a folder of this machine.
Status PullHere(const WorkOptions& options) {
  const auto source = hub::ParseHubSource(options.source, "source");
  if (!source) return Fail(source.error());
  JobProgress progress;
  const auto pulled =
      hub::Pull(*source, options.output,
                {.endpoint = options.endpoint.empty() ? hub::EndpointOfUser() : options.endpoint,
                 .token = hub::TokenOfUser(),
                 .on_progress = [&progress](const hub::PullProgress& at) {
                   progress.Show("", fmt::format("{} ({} of {})", at.file, at.number, at.files),
                                 at.done, at.all);
                   return true;
                 }});
  if (!pulled) return Fail(pulled.error().code, pulled.error().message, kAnswered);
  if (options.json) {
    boost::json::array files(pulled->files.begin(), pulled->files.end());
    PrintJson(boost::json::serialize(boost::json::object{{"folder", pulled->folder},
                                                         {"commit", pulled->commit},
                                                         {"licence", pulled->licence},
                                                         {"files", std::move(files)}}));
  } else {
    fmt::print("{}: {} files of commit {}\n", pulled->folder, pulled->files.size(), pulled->commit);
  }
  return {};
}

int Pull(const WorkOptions& options) {
  if (!options.output.empty()) {
    const Status pulled = PullHere(options);
    return pulled ? kExitGood : Report(pulled.error());
  }
  if (options.name.empty()) {
    return Report({Code::kInvalidArgument,
                   "NAME: missing: what the model is to be called on the server "
                   "(catalog.schema.model); or give --output FOLDER to pull without a server",
                   "name"});
  }
  return RegisterAndWait(options.remote, options.name,
                         {{"source", options.source}, {"output_type", options.type}}, options.wait,
                         options.json);
}

int WaitForCalibration(const WorkOptions& options, const std::string& path) {
  JobProgress progress;
  for (;;) {
    const auto answer = CallForObject(options.remote, "GET", path);
    if (!answer) return Report(answer.error());
    const auto& state = answer->at("state").as_object();
    const std::string word = TextIn(state, "state");
    if (word == "FAILED") {
      return Report({Code::kUpstream, TextIn(state, "message"), {}});
    }
    if (word == "DONE") {
      if (options.json) {
        PrintJson(boost::json::serialize(*answer));
      } else {
        fmt::print("{}report           {}\n", CurveText(answer->at("calibration").as_object()),
                   TextIn(*answer, "report_path"));
      }
      return kExitGood;
    }
    progress.Show(options.name, TextIn(state, "stage"), NumberIn(state, "done"),
                  NumberIn(state, "all"));
    PauseBetweenLooks();
  }
}

int Calibrate(const WorkOptions& options) {
  const auto version = VersionOrNewest(options.remote, options.name, options.version);
  if (!version) return Report(version.error());
  const std::string path = fmt::format("/api/2.0/penstock/models/{}/versions/{}/calibration",
                                       http::PercentEncode(options.name), *version);
  const boost::json::object body{{"length", options.length},
                                 {"chunks_per_replica", options.chunks},
                                 {"latency_p90_max_ms", options.latency_max_ms}};
  const auto begun = CallForObject(options.remote, "POST", path, boost::json::serialize(body));
  if (!begun) return Report(begun.error());
  return options.wait ? WaitForCalibration(options, path) : kExitGood;
}

int Jobs(const WorkOptions& options) {
  const auto answer = CallForObject(options.remote, "GET", "/api/2.0/penstock/jobs");
  if (!answer) return Report(answer.error());
  if (options.json) {
    PrintJson(boost::json::serialize(*answer));
    return kExitGood;
  }
  TextTable table({"ID", "KIND", "MODEL", "STATE", "STAGE"});
  for (const auto& entry : answer->at("jobs").as_array()) {
    const auto& job = entry.as_object();
    const std::string message = TextIn(job, "message");
    table.Add({fmt::format("{}", NumberIn(job, "id")), TextIn(job, "kind"), TextIn(job, "subject"),
               TextIn(job, "state"), message.empty() ? TextIn(job, "stage") : message});
  }
  fmt::print("{}", table.ToString());
  return kExitGood;
}

void AddConvert(Program& program, CLI::App* group) {
  auto options = std::make_shared<WorkOptions>();
  CLI::App* command = program.Add(
      "convert",
      "Convert a folder of safetensors to GGUF, without a server: Llama, Mistral, "
      "Qwen 2 and 3, DeepSeek-R1 distills, BERT and XLM-R (BGE, GTE, E5)",
      [options] {
        const Status made = Convert(*options);
        return made ? kExitGood : Report(made.error());
      },
      group);
  command->add_option("folder", options->folder, "As Hugging Face or MLflow writes it")->required();
  AddFlag(*command, "--output", options->output, "GGUF file to write")->required();
  AddFlag(*command, "--type", options->type, "Of the weights: f16, bf16, f32 or q8_0");
  AddFlag(*command, "--mirror", options->mirror,
          "Folder of pulled repositories, for weights that MLflow only named");
  AddSwitch(*command, "--json", options->json, "What was written, as JSON");
}

void AddPull(Program& program, CLI::App* group) {
  auto options = std::make_shared<WorkOptions>();
  CLI::App* command = program.Add(
      "pull",
      "Pull a model from a hub, and register it: hf:ORG/NAME[@REVISION][:FILE]. "
      "HF_TOKEN opens closed repositories",
      [options] { return Pull(*options); }, group);
  AddRemoteFlags(*command, options->remote);
  command->add_option("source", options->source, "hf:ORG/NAME[@REVISION][:FILE]")->required();
  command->add_option("name", options->name, "catalog.schema.model");
  AddFlag(*command, "--type", options->type, "Of a conversion: f16, bf16, f32 or q8_0");
  AddFlag(*command, "--output", options->output,
          "Folder of this machine to pull into, without a server");
  AddFlag(*command, "--hub-endpoint", options->endpoint,
          "With --output: the hub; else HF_ENDPOINT, else https://huggingface.co");
  AddSwitch(*command, "--wait", options->wait, "Wait until the model is ready");
  AddSwitch(*command, "--json", options->json, "The version as JSON on stdout");
}

void AddCalibrate(Program& program, CLI::App* group) {
  auto options = std::make_shared<WorkOptions>();
  CLI::App* command = program.Add(
      "calibrate",
      "Measure one replica of a model on the server's hardware: what it sells as a "
      "chunk of tokens/s, and the best concurrency",
      [options] { return Calibrate(*options); }, group);
  AddRemoteFlags(*command, options->remote);
  command->add_option("name", options->name, "catalog.schema.model")->required();
  AddFlag(*command, "--model-version", options->version, "Its version; 0: the newest");
  AddFlag(*command, "--length", options->length,
          "Of the requests: reference (2048 + 256 tokens), quick (an eighth; the rest "
          "follows from a fit) or auto")
      ->check(CLI::IsMember({"auto", "reference", "quick"}));
  AddFlag(*command, "--chunks-per-replica", options->chunks,
          "Into how many units of sale a replica is cut")
      ->check(CLI::Range(1, 1000));
  AddFlag(*command, "--latency-max-ms", options->latency_max_ms,
          "Sell no concurrency whose p90 latency is beyond; 0: no limit");
  AddSwitch(*command, "--wait", options->wait, "Wait for the result");
  AddSwitch(*command, "--json", options->json, "The calibration as JSON");

  auto look = std::make_shared<WorkOptions>();
  CLI::App* jobs = program.Add(
      "jobs", "List conversions, pulls and calibrations, the newest first",
      [look] { return Jobs(*look); }, group);
  AddRemoteFlags(*jobs, look->remote);
  AddSwitch(*jobs, "--json", look->json, "The server's answer as JSON");
}

double RealIn(const boost::json::object& json, std::string_view key) {
  const auto* value = json.if_contains(key);
  boost::json::error_code error;
  return value != nullptr && value->is_number() ? value->to_number<double>(error) : 0;
}

double PercentileIn(const boost::json::object& point, std::string_view of, std::string_view key) {
  const auto* value = point.if_contains(of);
  return value != nullptr && value->is_object() ? RealIn(value->get_object(), key) : 0;
}

// A job of the version, newest first; null if there is none.
boost::json::object JobOf(const RemoteOptions& remote, const std::string& subject) {
  const auto answer = CallForObject(remote, "GET", "/api/2.0/penstock/jobs");
  if (!answer) return {};
  for (const auto& job : answer->at("jobs").as_array()) {
    if (TextIn(job.as_object(), "subject") == subject) return job.as_object();
  }
  return {};
}

}  // namespace

JobProgress::JobProgress() : terminal_(isatty(STDERR_FILENO) == 1) {}

JobProgress::~JobProgress() {
  if (drawn_ && terminal_) fmt::print(stderr, "\n");
}

void JobProgress::Show(const std::string& what, std::string_view stage, std::int64_t done,
                       std::int64_t all) {
  constexpr int kBar = 24;
  const std::string prefix = what.empty() ? "" : what + ": ";
  if (!terminal_) {
    if (stage == stage_) return;
    stage_ = stage;
    fmt::print(stderr, "{}{}\n", prefix, stage);
    return;
  }
  std::string bar;
  if (all > 0) {
    const double share = std::clamp(static_cast<double>(done) / static_cast<double>(all), 0.0, 1.0);
    const int full = static_cast<int>(share * kBar);
    bar = fmt::format(" [{:#<{}}{:.<{}}] {:3.0f} %", "", full, "", kBar - full, 100 * share);
    if (all > 1'000'000) bar += fmt::format(" of {}", SizeText(all));
  }
  drawn_ = true;
  fmt::print(stderr, "\r\x1b[K{}{}{}", prefix, stage.substr(0, 60), bar);
}

void PauseBetweenLooks() {
  constexpr int kPauseMs = 300;
  poll(nullptr, 0, kPauseMs);
}

int RegisterAndWait(const RemoteOptions& remote, const std::string& name, boost::json::object body,
                    bool wait, bool json) {
  const auto model = CallForObject(remote, "GET", ModelPath(name));
  if (!model && model.error().code != Code::kNotFound) return Report(model.error());
  if (!model) {
    const auto created = CallForObject(remote, "POST", "/api/2.1/unity-catalog/models",
                                       boost::json::serialize(boost::json::object{
                                           {"name", name}, {"comment", TextIn(body, "comment")}}));
    if (!created) return Report(created.error());
  }
  auto version =
      CallForObject(remote, "POST", ModelPath(name) + "/versions", boost::json::serialize(body));
  if (!version) {
    // A model without versions, made for this one alone, is of no use.
    if (!model) (void)CallForObject(remote, "DELETE", ModelPath(name));
    return Report(version.error());
  }
  const std::int64_t number = NumberIn(*version, "version");
  {
    JobProgress progress;
    while (wait && TextIn(*version, "status") == "PENDING_REGISTRATION") {
      const auto job = JobOf(remote, fmt::format("{}/{}", name, number));
      progress.Show(name, TextIn(job, "stage"), NumberIn(job, "done"), NumberIn(job, "all"));
      PauseBetweenLooks();
      version =
          CallForObject(remote, "GET", fmt::format("{}/versions/{}", ModelPath(name), number));
      if (!version) return Report(version.error());
    }
  }
  if (TextIn(*version, "status") == "FAILED_REGISTRATION") {
    return Report({Code::kUnsupported, TextIn(*version, "status_message"), kAnswered});
  }
  if (json) {
    PrintJson(boost::json::serialize(*version));
  } else {
    fmt::print("{} version {}: {}, {}\n", name, number, TextIn(*version, "task"),
               TextIn(*version, "status"));
  }
  return kExitGood;
}

std::string CurveText(const boost::json::object& calibration) {
  const auto& curve = calibration.at("curve").as_array();
  double most = 0;
  for (const auto& point : curve) {
    most = std::max(most, RealIn(point.as_object(), "total_tokens_per_s"));
  }
  const auto& concurrency = calibration.at("concurrency").as_object();
  TextTable table({"CONCURRENCY", "TOKENS/S", "OUTPUT/S", "TTFT P50", "TTFT P99", "TPOT P50",
                   "LATENCY P50", "P90", "THROUGHPUT"});
  for (const auto& entry : curve) {
    const auto& point = entry.as_object();
    const std::int64_t level = NumberIn(point, "concurrency");
    constexpr double kBar = 24;
    const double total = RealIn(point, "total_tokens_per_s");
    std::string bar(static_cast<std::size_t>(std::lround(kBar * total / std::max(most, 1e-9))),
                    '#');
    for (const char* strategy : {"latency", "balanced", "throughput"}) {
      if (NumberIn(concurrency, strategy) == level) bar += fmt::format(" {}", strategy);
    }
    const auto ms = [&point](std::string_view of, std::string_view key) {
      return fmt::format("{:.0f} ms", PercentileIn(point, of, key));
    };
    table.Add({fmt::format("{}", level), fmt::format("{:.0f}", total),
               fmt::format("{:.1f}", RealIn(point, "output_tokens_per_s")), ms("ttft_ms", "p50"),
               ms("ttft_ms", "p99"),
               fmt::format("{:.1f} ms", PercentileIn(point, "tpot_ms", "p50")),
               ms("latency_ms", "p50"), ms("latency_ms", "p90"), bar});
  }
  std::string text = table.ToString();
  const bool quick = TextIn(calibration, "mode") == "quick";
  text += fmt::format(
      "\nchunk            {} tokens/s at 2048 + 256 tokens, {} to a replica{}\n"
      "cost rate        {:.0f} normalised tokens/s of a replica; an output token costs {:.2f}\n"
      "step             {:.3f} ms + {:.1f} us a prompt token + {:.1f} us a sequence + {:.4f} us a "
      "token of context\n"
      "hardware         {}\nmeasured         {}: {}\n",
      NumberIn(calibration, "throughput_chunk_size"), NumberIn(calibration, "chunks_per_replica"),
      quick ? " (from shorter requests, by the fit below)" : "", RealIn(calibration, "cost_per_s"),
      RealIn(calibration, "output_weight"),
      1e3 * RealIn(calibration.at("step_times").as_object(), "fixed_s"),
      1e6 * RealIn(calibration.at("step_times").as_object(), "per_prefill_token_s"),
      1e6 * RealIn(calibration.at("step_times").as_object(), "per_decode_sequence_s"),
      1e6 * RealIn(calibration.at("step_times").as_object(), "per_context_token_s"),
      TextIn(calibration, "hardware"), MomentText(NumberIn(calibration, "measured_at")),
      TextIn(calibration, "how"));
  return text;
}

void AddModelWorkCommands(Program& program, CLI::App* group) {
  AddConvert(program, group);
  AddPull(program, group);
  AddCalibrate(program, group);
}

}  // namespace penstock::app
