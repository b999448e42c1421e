#include "control/catalog.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <filesystem>
#include <system_error>

#include "control/json_reader.h"
#include "control/names.h"
#include "convert/elements.h"
#include "convert/json_fields.h"
#include "convert/model_config.h"
#include "convert/model_folder.h"
#include "hub/hub_source.h"

namespace penstock::control {
namespace {

void SetFile(const ModelFile& file, store::ModelVersionRecord& version, VersionDetails& details) {
  version.source = file.path;
  version.size_bytes = file.size_bytes;
  version.fingerprint = file.fingerprint;
  version.format = boost::json::serialize(file.format);
  const auto* context = file.format.if_contains("context_length");
  if (context != nullptr && context->is_number()) {
    details.context_length = context->to_number<std::int64_t>();
  }
  const auto* licence = file.format.if_contains("licence");
  if (details.licence.empty() && licence != nullptr && licence->is_string()) {
    details.licence = licence->get_string();
  }
}

Status DescribeFile(const std::string& source, store::ModelVersionRecord& version,
                    VersionDetails& details) {
  const auto file = InspectModelFile(source);
  if (!file) return Fail(file.error());
  SetFile(*file, version, details);
  return {};
}

// Looks at everything but the weights themselves, so that what cannot be served is told at once.
Status DescribeFolder(const std::string& source, const std::string& mirror_path,
                      store::ModelVersionRecord& version, VersionDetails& details) {
  std::error_code failure;
  const std::string path = std::filesystem::canonical(source, failure).string();
  if (failure)
    return Fail(Code::kInvalidArgument, fmt::format("{}: {}", source, failure.message()));
  const auto folder = convert::OpenModelFolder(path, {.folder = mirror_path});
  if (!folder) return Fail(folder.error());
  const auto json = convert::ReadObject(folder->weights + "/config.json");
  if (!json) return Fail(json.error());
  const auto config = convert::ParseModelConfig(*json);
  if (!config) return Fail(config.error());
  version.source = path;
  version.status = kVersionPending;
  version.format = boost::json::serialize(boost::json::object{
      {"format", "safetensors"}, {"architecture", ArchitectureOf(config->family)}});
  for (const std::string& file : folder->weight_files) {
    version.size_bytes += static_cast<std::int64_t>(std::filesystem::file_size(file, failure));
  }
  details.kind = SourceKind::kFolder;
  details.licence = folder->licence;
  details.model_type = folder->model_type;
  details.context_length = config->context_length;
  if (details.task.empty()) details.task = folder->task;
  if (folder->ml_model && details.run_id.empty()) details.run_id = folder->ml_model->run_id;
  return {};
}

Status CheckTask(const std::string& task) {
  if (task.empty() || convert::IsServedTask(task)) return {};
  return Fail(Code::kInvalidArgument,
              fmt::format("task must be llm/v1/chat, llm/v1/completions or llm/v1/embeddings, got "
                          "\"{}\"",
                          task.substr(0, 80)),
              "task");
}

}  // namespace

void Catalog::ForgetKey(const store::ModelVersionRecord& version) const {
  const VersionDetails details = ParseVersionDetails(version.details);
  if (!details.key_file.empty()) secrets_.Forget(details.key_file);
}

std::optional<ExternalCall> Catalog::ExternalOf(const store::ModelVersionRecord& version) const {
  const VersionDetails details = ParseVersionDetails(version.details);
  if (details.kind != SourceKind::kExternal || !details.external_model) return std::nullopt;
  auto model = CheckExternalModel(*details.external_model, "external_model");
  if (!model) return std::nullopt;  // It was good when it was registered.
  model->call.key_path =
      secrets_.PathOf(details.key_file.empty() ? model->key_reference : details.key_file);
  return std::move(model->call);
}

Result<std::set<std::string>> Catalog::KeyFiles() {
  std::set<std::string> files;
  const auto models = store_.ListModels();
  if (!models) return Fail(models.error());
  for (const store::ModelRecord& model : *models) {
    const auto versions = store_.ListModelVersions(model.full_name);
    if (!versions) return Fail(versions.error());
    for (const store::ModelVersionRecord& version : *versions) {
      files.insert(ParseVersionDetails(version.details).key_file);
    }
  }
  return files;
}

Status Catalog::Delete(const std::string& full_name) {
  const auto versions = store_.ListModelVersions(full_name);
  if (auto deleted = store_.DeleteModel(full_name); !deleted) return deleted;
  if (versions) {
    for (const store::ModelVersionRecord& version : *versions) ForgetKey(version);
  }
  return {};
}

Status Catalog::DeleteVersion(const std::string& full_name, std::int64_t number) {
  const auto version = GetVersion(full_name, number);
  if (auto deleted = store_.DeleteModelVersion(full_name, number); !deleted) return deleted;
  if (version) ForgetKey(*version);
  return {};
}

Status Catalog::DescribeExternal(const RegisterModel& request, store::ModelVersionRecord& version,
                                 VersionDetails& details) const {
  const auto external = CheckExternalModel(*request.external_model, "external_model");
  if (!external) return Fail(external.error());
  details.kind = SourceKind::kExternal;
  details.source = version.source = external->call.url;
  details.task = external->task;
  details.model_type = external->provider;
  details.external_model = external->json;
  if (!external->key_reference.empty()) {
    return secrets_.CheckReference(external->key_reference, "external_model");
  }
  if (external->api_key.empty()) return {};
  details.key_file = SecretFiles::NewName();
  return secrets_.Write(details.key_file, external->api_key);
}

Result<store::ModelVersionRecord> Catalog::Describe(const RegisterModel& request,
                                                    WallTime now) const {
  store::ModelVersionRecord version;
  version.full_name = request.full_name;
  version.created_by = request.creator;
  version.created_at = now;
  version.format = "{}";
  VersionDetails details{.source = request.source,
                         .task = request.task,
                         .comment = request.version_comment,
                         .run_id = request.run_id,
                         .output_type = request.output_type,
                         .tags = request.tags};
  Status described;
  std::error_code ignored;
  if (request.external_model) {
    described = DescribeExternal(request, version, details);
  } else if (hub::IsHubSource(request.source)) {
    if (auto parsed = hub::ParseHubSource(request.source, "source"); !parsed) {
      return Fail(parsed.error());
    }
    details.kind = SourceKind::kHub;
    version.source = request.source;
    version.status = kVersionPending;
  } else if (std::filesystem::is_directory(request.source, ignored)) {
    described = DescribeFolder(request.source, mirror_path_, version, details);
  } else {
    described = DescribeFile(request.source, version, details);
  }
  if (!described) return Fail(described.error());
  version.details = Serialize(details);
  return version;
}

Result<store::ModelVersionRecord> Catalog::Register(const RegisterModel& request, WallTime now) {
  if (auto name = ParseModelName(request.full_name, "name"); !name) return Fail(name.error());
  if (auto good = CheckTask(request.task); !good) return Fail(good.error());
  if (!request.output_type.empty()) {
    if (auto type = convert::ParseOutputType(request.output_type); !type) {
      return Fail(type.error());
    }
  }
  auto version = Describe(request, now);
  if (!version) return Fail(version.error());
  auto added = store_.AddModelVersion(*version, request.comment);
  if (!added) {
    ForgetKey(*version);
    return added;
  }
  // A further version changes its model.
  if (auto model = Get(request.full_name); model && added->version > 1) {
    ModelDetails details = ParseModelDetails(model->details);
    details.updated_by = request.creator;
    model->details = Serialize(details);
    if (auto updated = store_.UpdateModel(*model); !updated) return Fail(updated.error());
  }
  return added;
}

Result<store::ModelRecord> Catalog::Create(const store::ModelRecord& model) {
  if (auto name = ParseModelName(model.full_name, "name"); !name) return Fail(name.error());
  if (auto added = store_.AddModel(model); !added) return Fail(added.error());
  return Get(model.full_name);
}

Status Catalog::CompleteVersion(const std::string& full_name, std::int64_t number,
                                const Completion& completion) {
  auto version = GetVersion(full_name, number);
  if (!version) return Fail(version.error());
  VersionDetails details = ParseVersionDetails(version->details);
  const auto file = InspectModelFile(completion.path);
  if (!file) return Fail(file.error());
  SetFile(*file, *version, details);
  if (!completion.licence.empty()) details.licence = completion.licence;
  if (details.task.empty()) details.task = completion.task;
  if (!completion.model_type.empty()) details.model_type = completion.model_type;
  details.message.clear();
  version->status = kVersionReady;
  version->details = Serialize(details);
  return store_.UpdateModelVersion(*version);
}

Status Catalog::FailVersion(const std::string& full_name, std::int64_t number,
                            const std::string& message) {
  auto version = GetVersion(full_name, number);
  if (!version) return Fail(version.error());
  VersionDetails details = ParseVersionDetails(version->details);
  details.message = message;
  version->status = kVersionFailed;
  version->details = Serialize(details);
  return store_.UpdateModelVersion(*version);
}

Result<store::ModelRecord> Catalog::Get(const std::string& full_name) {
  auto found = store_.GetModel(full_name);
  if (!found) return Fail(found.error());
  if (*found) return **found;
  return Fail(Code::kNotFound, fmt::format("registered model {} does not exist", full_name));
}

Result<std::vector<store::ModelVersionRecord>> Catalog::ListVersions(const std::string& full_name) {
  if (auto model = Get(full_name); !model) return Fail(model.error());
  return store_.ListModelVersions(full_name);
}

Result<store::ModelVersionRecord> Catalog::GetVersion(const std::string& full_name,
                                                      std::int64_t version) {
  auto found = store_.GetModelVersion(full_name, version);
  if (!found) return Fail(found.error());
  if (*found) return **found;
  if (auto model = Get(full_name); !model) return Fail(model.error());
  return Fail(Code::kNotFound,
              fmt::format("version {} of model {} does not exist", version, full_name));
}

Result<store::ModelVersionRecord> Catalog::GetVersionByAlias(const std::string& full_name,
                                                             const std::string& alias) {
  if (auto model = Get(full_name); !model) return Fail(model.error());
  const auto aliases = store_.ListModelAliases(full_name);
  if (!aliases) return Fail(aliases.error());
  for (const store::ModelAliasRecord& one : *aliases) {
    if (one.alias == alias) return GetVersion(full_name, one.version);
  }
  return Fail(Code::kNotFound,
              fmt::format("model {} has no alias \"{}\"", full_name, alias.substr(0, 80)));
}

Status Catalog::SetAlias(const std::string& full_name, const std::string& alias,
                         std::int64_t version) {
  if (auto good = CheckAliasName(alias, "alias"); !good) return good;
  if (auto found = GetVersion(full_name, version); !found) return Fail(found.error());
  return store_.PutModelAlias({.full_name = full_name, .alias = alias, .version = version});
}

Status Catalog::DeleteAlias(const std::string& full_name, const std::string& alias) {
  if (auto model = Get(full_name); !model) return Fail(model.error());
  return store_.DeleteModelAlias(full_name, alias);
}

std::string ArchitectureOf(const store::ModelVersionRecord& version) {
  const auto format = ParseJsonObject(version.format);
  if (!format) return {};
  const auto* architecture = format->if_contains("architecture");
  const bool known = architecture != nullptr && architecture->is_string();
  return known ? std::string(architecture->get_string()) : std::string();
}

std::string TaskOf(const store::ModelVersionRecord& version) {
  std::string task = ParseVersionDetails(version.details).task;
  return task.empty() ? TaskOf(ArchitectureOf(version)) : task;
}

std::string ModelTypeOf(const store::ModelVersionRecord& version) {
  std::string type = ParseVersionDetails(version.details).model_type;
  return type.empty() ? ArchitectureOf(version) : type;
}

Status CheckReady(const store::ModelVersionRecord& version) {
  if (version.status == kVersionReady) return {};
  const std::string what =
      fmt::format("version {} of model {}", version.version, version.full_name);
  if (version.status == kVersionPending) {
    return Fail(Code::kConflict, fmt::format("{} is still being registered", what));
  }
  return Fail(Code::kUnsupported, fmt::format("{} could not be registered: {}", what,
                                              ParseVersionDetails(version.details).message));
}

}  // namespace penstock::control
