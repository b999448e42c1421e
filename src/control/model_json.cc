#include "control/model_json.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "control/json_reader.h"
#include "control/names.h"

namespace penstock::control {
namespace {

std::int64_t Ms(WallTime time) { return time.time_since_epoch().count(); }

// The store holds only names that were parsed once.
ModelName PartsOf(const std::string& full_name) {
  auto parts = ParseModelName(full_name, "name");
  return parts ? std::move(*parts) : ModelName{.catalog = {}, .schema = {}, .model = full_name};
}

// RegisteredModelAlias, of one version or of all.
boost::json::array AliasesOf(const ModelName& name, const Aliases& aliases,
                             std::optional<std::int64_t> version) {
  boost::json::array list;
  for (const store::ModelAliasRecord& alias : aliases) {
    if (version && alias.version != *version) continue;
    list.push_back(boost::json::object{{"alias_name", alias.alias},
                                       {"version_num", alias.version},
                                       {"catalog_name", name.catalog},
                                       {"schema_name", name.schema},
                                       {"model_name", name.model}});
  }
  return list;
}

boost::json::array TagList(const Tags& tags) {
  boost::json::array list;
  for (const auto& [key, value] : tags) {
    list.push_back(boost::json::object{{"key", key}, {"value", value}});
  }
  return list;
}

}  // namespace

boost::json::object ModelJson(const store::ModelRecord& model, const Aliases& aliases) {
  const ModelName name = PartsOf(model.full_name);
  const ModelDetails details = ParseModelDetails(model.details);
  boost::json::object json;
  json["name"] = name.model;
  json["catalog_name"] = name.catalog;
  json["schema_name"] = name.schema;
  json["full_name"] = model.full_name;
  json["owner"] = model.owner;
  json["comment"] = model.comment;
  json["created_at"] = Ms(model.created_at);
  json["created_by"] = model.created_by;
  json["updated_at"] = Ms(model.updated_at);
  json["updated_by"] = details.updated_by.empty() ? model.created_by : details.updated_by;
  json["browse_only"] = false;
  json["aliases"] = AliasesOf(name, aliases, std::nullopt);
  if (!details.tags.empty()) json["tags"] = TagsJson(details.tags);
  if (!details.default_system_prompt.empty()) {
    json["default_system_prompt"] = details.default_system_prompt;
  }
  return json;
}

boost::json::object VersionJson(const store::ModelVersionRecord& version, const Aliases& aliases) {
  const ModelName name = PartsOf(version.full_name);
  VersionDetails details = ParseVersionDetails(version.details);
  boost::json::object json;
  json["model_name"] = name.model;
  json["catalog_name"] = name.catalog;
  json["schema_name"] = name.schema;
  json["version"] = version.version;
  json["source"] = details.source.empty() ? version.source : details.source;
  json["storage_location"] = version.source;
  json["status"] = version.status;
  if (!details.message.empty()) json["status_message"] = details.message;
  if (!details.comment.empty()) json["comment"] = details.comment;
  if (!details.run_id.empty()) json["run_id"] = details.run_id;
  json["created_at"] = Ms(version.created_at);
  json["created_by"] = version.created_by;
  json["updated_at"] = details.updated_at_ms.value_or(Ms(version.created_at));
  json["updated_by"] = details.updated_by.empty() ? version.created_by : details.updated_by;
  json["aliases"] = AliasesOf(name, aliases, version.version);
  json["source_kind"] = ToString(details.kind);
  json["task"] = TaskOf(version);
  json["model_type"] = ModelTypeOf(version);
  if (!details.licence.empty()) json["licence"] = details.licence;
  if (details.context_length) json["context_length"] = *details.context_length;
  json["size_bytes"] = version.size_bytes;
  json["fingerprint"] = version.fingerprint;
  auto format = ParseJsonObject(version.format);
  json["format"] = format ? std::move(*format) : boost::json::object();
  if (!details.tags.empty()) json["tags"] = TagsJson(details.tags);
  if (details.external_model) json["external_model"] = std::move(*details.external_model);
  return json;
}

boost::json::object MlflowVersionJson(const store::ModelVersionRecord& version,
                                      const Aliases& aliases) {
  const VersionDetails details = ParseVersionDetails(version.details);
  boost::json::object json;
  json["name"] = version.full_name;
  json["version"] = fmt::format("{}", version.version);  // MLflow's are texts.
  json["creation_timestamp"] = Ms(version.created_at);
  json["last_updated_timestamp"] = details.updated_at_ms.value_or(Ms(version.created_at));
  json["user_id"] = version.created_by;
  json["current_stage"] = "None";
  json["description"] = details.comment;
  json["source"] = details.source.empty() ? version.source : details.source;
  json["run_id"] = details.run_id;
  json["status"] = version.status;
  json["status_message"] = details.message;
  json["tags"] = TagList(details.tags);
  boost::json::array names;
  for (const store::ModelAliasRecord& alias : aliases) {
    if (alias.version == version.version) names.emplace_back(alias.alias);
  }
  json["aliases"] = std::move(names);
  return json;
}

boost::json::object MlflowModelJson(const store::ModelRecord& model, const Aliases& aliases,
                                    const store::ModelVersionRecord* latest) {
  const ModelDetails details = ParseModelDetails(model.details);
  boost::json::object json;
  json["name"] = model.full_name;
  json["creation_timestamp"] = Ms(model.created_at);
  json["last_updated_timestamp"] = Ms(model.updated_at);
  json["user_id"] = model.owner;
  json["description"] = model.comment;
  boost::json::array versions;
  if (latest != nullptr) versions.push_back(MlflowVersionJson(*latest, aliases));
  json["latest_versions"] = std::move(versions);
  json["tags"] = TagList(details.tags);
  boost::json::array list;
  for (const store::ModelAliasRecord& alias : aliases) {
    list.push_back(
        boost::json::object{{"alias", alias.alias}, {"version", fmt::format("{}", alias.version)}});
  }
  json["aliases"] = std::move(list);
  return json;
}

}  // namespace penstock::control
