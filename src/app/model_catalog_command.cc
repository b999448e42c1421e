// penstock model register, list, show, versions, alias, delete: the catalog of a running server.
#include <filesystem>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "app/flags.h"
#include "app/json_print.h"
#include "app/model_commands.h"
#include "app/text_table.h"
#include "http/url.h"

namespace penstock::app {

namespace {

constexpr const char* kModels = "/api/2.1/unity-catalog/models";

struct ModelOptions {
  RemoteOptions remote;
  std::string name;
  bool json = false;

  std::string file;
  std::string comment;
  std::string task;
  std::string type;
  std::string system_prompt;
  bool wait = true;

  std::int64_t version = 0;
  bool curve = false;
  std::string alias;
  bool remove = false;
};

int Register(const ModelOptions& options) {
  std::string source = options.file;
  if (!source.starts_with("hf:")) {
    std::error_code error;
    source = std::filesystem::absolute(source, error).string();
  }
  boost::json::object body{{"source", source}};
  if (!options.comment.empty()) body["comment"] = options.comment;
  if (!options.task.empty()) body["task"] = options.task;
  if (!options.type.empty()) body["output_type"] = options.type;
  const int code =
      RegisterAndWait(options.remote, options.name, std::move(body), options.wait, options.json);
  if (code != kExitGood || options.system_prompt.empty()) return code;
  const auto changed = CallForObject(options.remote, "PATCH", ModelPath(options.name),
                                     boost::json::serialize(boost::json::object{
                                         {"default_system_prompt", options.system_prompt}}));
  return changed ? kExitGood : Report(changed.error());
}

int List(const ModelOptions& options) {
  const auto answer = CallForObject(options.remote, "GET", kModels);
  if (!answer) return Report(answer.error());
  if (options.json) {
    PrintJson(boost::json::serialize(*answer));
    return kExitGood;
  }
  TextTable table({"NAME", "OWNER", "UPDATED", "ALIASES", "COMMENT"});
  for (const auto& entry : answer->at("registered_models").as_array()) {
    const auto& model = entry.as_object();
    std::string aliases;
    for (const auto& alias : model.at("aliases").as_array()) {
      aliases += fmt::format("{}{} -> {}", aliases.empty() ? "" : ", ",
                             TextIn(alias.as_object(), "alias_name"),
                             NumberIn(alias.as_object(), "version_num"));
    }
    table.Add({TextIn(model, "full_name"), TextIn(model, "owner"),
               MomentText(NumberIn(model, "updated_at")), aliases, TextIn(model, "comment")});
  }
  if (table.ToString().empty()) {
    fmt::print(stderr, "no model is registered: penstock model register NAME --file MODEL.gguf\n");
    return kExitGood;
  }
  fmt::print("{}", table.ToString());
  return kExitGood;
}

std::string ContextOf(const boost::json::object& version) {
  const std::int64_t tokens = NumberIn(version, "context_length");
  return tokens > 0 ? fmt::format("{}", tokens) : "-";
}

int Versions(const ModelOptions& options) {
  const auto answer = CallForObject(options.remote, "GET", ModelPath(options.name) + "/versions");
  if (!answer) return Report(answer.error());
  if (options.json) {
    PrintJson(boost::json::serialize(*answer));
    return kExitGood;
  }
  TextTable table({"VERSION", "STATUS", "TASK", "TYPE", "SIZE", "CONTEXT", "LICENCE", "SOURCE"});
  for (const auto& entry : answer->at("model_versions").as_array()) {
    const auto& version = entry.as_object();
    const std::string licence = TextIn(version, "licence");
    table.Add({fmt::format("{}", NumberIn(version, "version")), TextIn(version, "status"),
               TextIn(version, "task"), TextIn(version, "model_type"),
               SizeText(NumberIn(version, "size_bytes")), ContextOf(version),
               licence.empty() ? "-" : licence, TextIn(version, "source")});
  }
  fmt::print("{}", table.ToString());
  return kExitGood;
}

// "name: value" lines, values under each other.
void PrintFields(const boost::json::object& json) {
  std::size_t width = 0;
  for (const auto& member : json) width = std::max(width, member.key().size());
  for (const auto& member : json) {
    const auto& value = member.value();
    const std::string key(member.key());
    const bool moment = key.ends_with("_at") && value.is_number();
    const std::string text = value.is_string() ? std::string(value.get_string())
                             : moment          ? MomentText(value.to_number<std::int64_t>())
                                               : boost::json::serialize(value);
    fmt::print("{:{}}  {}\n", key, width, text);
  }
}

std::string CalibrationPath(const std::string& name, std::int64_t version) {
  return fmt::format("/api/2.0/penstock/models/{}/versions/{}/calibration",
                     http::PercentEncode(name), version);
}

int Show(const ModelOptions& options) {
  const auto version = VersionOrNewest(options.remote, options.name, options.version);
  if (!version) return Report(version.error());
  auto model = CallForObject(options.remote, "GET", ModelPath(options.name));
  if (!model) return Report(model.error());
  if (*version > 0) {
    auto found = CallForObject(options.remote, "GET",
                               fmt::format("{}/versions/{}", ModelPath(options.name), *version));
    if (!found) return Report(found.error());
    auto calibration =
        CallForObject(options.remote, "GET", CalibrationPath(options.name, *version));
    if (!calibration) return Report(calibration.error());
    (*model)["model_version"] = std::move(*found);
    (*model)["calibration"] = std::move(*calibration);
  }
  if (options.json) {
    PrintJson(boost::json::serialize(*model));
    return kExitGood;
  }
  const auto shown = model->if_contains("model_version");
  const auto measured = model->if_contains("calibration");
  boost::json::object fields = *model;
  fields.erase("model_version");
  fields.erase("calibration");
  PrintFields(fields);
  if (shown != nullptr) {
    fmt::print("\nversion {}\n", *version);
    PrintFields(shown->as_object());
  }
  if (measured == nullptr) return kExitGood;
  const auto* found = measured->as_object().if_contains("calibration");
  if (found == nullptr) {
    fmt::print("\nnot calibrated: penstock model calibrate {}\n", options.name);
  } else if (options.curve) {
    fmt::print("\n{}report           {}\n", CurveText(found->as_object()),
               TextIn(measured->as_object(), "report_path"));
  } else {
    fmt::print("\nchunk  {} tokens/s ({} to a replica); --curve shows what was measured\n",
               NumberIn(found->as_object(), "throughput_chunk_size"),
               NumberIn(found->as_object(), "chunks_per_replica"));
  }
  return kExitGood;
}

int Alias(const ModelOptions& options) {
  const std::string path =
      fmt::format("{}/aliases/{}", ModelPath(options.name), http::PercentEncode(options.alias));
  if (options.remove) return CallAndPrint(options.remote, "DELETE", path, "");
  const auto version = VersionOrNewest(options.remote, options.name, options.version);
  if (!version) return Report(version.error());
  return CallAndPrint(options.remote, "PUT", path,
                      boost::json::serialize(boost::json::object{{"version_num", *version}}));
}

int Delete(const ModelOptions& options) {
  std::string path = ModelPath(options.name);
  if (options.version > 0) path += fmt::format("/versions/{}", options.version);
  const auto answer = CallForObject(options.remote, "DELETE", path);
  if (!answer) return Report(answer.error());
  fmt::print(stderr, "deleted {}{}; files stay\n", options.name,
             options.version > 0 ? fmt::format(" version {}", options.version) : "");
  return kExitGood;
}

void AddRegister(Program& program, CLI::App* group) {
  auto options = std::make_shared<ModelOptions>();
  CLI::App* add = program.Add(
      "register",
      "Register a GGUF file, or a folder of safetensors (Hugging Face's or MLflow's, "
      "converted to GGUF), as the next version of a model",
      [options] { return Register(*options); }, group);
  AddRemoteFlags(*add, options->remote);
  add->add_option("name", options->name, "catalog.schema.model")->required();
  AddFlag(*add, "--file", options->file, "GGUF file or folder, on the server's machine")
      ->required();
  AddFlag(*add, "--comment", options->comment, "For people");
  AddFlag(*add, "--task", options->task,
          "llm/v1/chat, llm/v1/completions or llm/v1/embeddings; else what the source says");
  AddFlag(*add, "--type", options->type, "Of a conversion: f16 (default), bf16, f32 or q8_0");
  AddFlag(*add, "--system-prompt", options->system_prompt,
          "Put in front of chats whose client sent no system message");
  AddSwitch(*add, "--wait", options->wait, "Wait until the version is ready");
  AddSwitch(*add, "--json", options->json, "The version as JSON on stdout");
}

void AddLooks(Program& program, CLI::App* group) {
  auto options = std::make_shared<ModelOptions>();
  CLI::App* list = program.Add(
      "list", "List the registered models", [options] { return List(*options); }, group);
  AddRemoteFlags(*list, options->remote);
  AddSwitch(*list, "--json", options->json, "The server's answer as JSON");

  CLI::App* show = program.Add(
      "show", "Show a model, its newest version, and what calibration found",
      [options] { return Show(*options); }, group);
  AddRemoteFlags(*show, options->remote);
  show->add_option("name", options->name, "catalog.schema.model")->required();
  AddFlag(*show, "--model-version", options->version, "Its version; 0: the newest");
  AddSwitch(*show, "--curve", options->curve, "Throughput and latency over concurrency");
  AddSwitch(*show, "--json", options->json, "All of it as JSON");

  CLI::App* versions = program.Add(
      "versions", "List a model's versions", [options] { return Versions(*options); }, group);
  AddRemoteFlags(*versions, options->remote);
  versions->add_option("name", options->name, "catalog.schema.model")->required();
  AddSwitch(*versions, "--json", options->json, "The server's answer as JSON");
}

void AddChanges(Program& program, CLI::App* group) {
  auto options = std::make_shared<ModelOptions>();
  CLI::App* alias = program.Add(
      "alias", "Give a version a name (champion), or take it away",
      [options] { return Alias(*options); }, group);
  AddRemoteFlags(*alias, options->remote);
  alias->add_option("name", options->name, "catalog.schema.model")->required();
  alias->add_option("alias", options->alias, "The name")->required();
  AddFlag(*alias, "--model-version", options->version, "The version; 0: the newest");
  AddSwitch(*alias, "--remove", options->remove, "Take the name away");

  CLI::App* remove = program.Add(
      "delete", "Delete a model or one version of it; files stay",
      [options] { return Delete(*options); }, group);
  AddRemoteFlags(*remove, options->remote);
  remove->add_option("name", options->name, "catalog.schema.model")->required();
  AddFlag(*remove, "--model-version", options->version, "This version only; 0: all");
}

}  // namespace

Result<boost::json::object> CallForObject(const RemoteOptions& options, std::string_view method,
                                          std::string_view target, std::string_view body) {
  auto json = CallForJson(options, method, target, body);
  if (!json) return Fail(json.error());
  if (!json->is_object()) {
    return Fail(Code::kUpstream, "the server's answer is not a JSON object");
  }
  return std::move(json->get_object());
}

std::string SizeText(std::int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value >= 1e9) return fmt::format("{:.1f} GB", value * 1e-9);
  if (value >= 1e6) return fmt::format("{:.1f} MB", value * 1e-6);
  return fmt::format("{} B", bytes);
}

std::string MomentText(std::int64_t ms) { return ms > 0 ? TimeText(ms).substr(0, 16) : "-"; }

std::string TextIn(const boost::json::object& json, std::string_view key) {
  const auto* value = json.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::int64_t NumberIn(const boost::json::object& json, std::string_view key) {
  const auto* value = json.if_contains(key);
  boost::json::error_code error;
  return value != nullptr && value->is_number() ? value->to_number<std::int64_t>(error) : 0;
}

std::string ModelPath(const std::string& name) {
  return fmt::format("{}/{}", kModels, http::PercentEncode(name));
}

Result<std::int64_t> VersionOrNewest(const RemoteOptions& remote, const std::string& name,
                                     std::int64_t version) {
  if (version > 0) return version;
  const auto answer = CallForObject(remote, "GET", ModelPath(name) + "/versions");
  if (!answer) return Fail(answer.error());
  const auto& versions = answer->at("model_versions").as_array();
  return versions.empty() ? 0 : NumberIn(versions.back().as_object(), "version");
}

void AddModelCatalogCommands(Program& program, CLI::App* group) {
  AddRegister(program, group);
  AddLooks(program, group);
  AddChanges(program, group);
}

}  // namespace penstock::app
