#include "control/model_service.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "base/check.h"
#include "control/json_reader.h"
#include "control/names.h"
#include "policy/capacity.h"

namespace penstock::control {
namespace {

std::int64_t Ms(WallTime time) { return time.time_since_epoch().count(); }

// The store holds only names that were parsed once.
ModelName PartsOf(const std::string& full_name) {
  auto parts = ParseModelName(full_name, "name");
  return parts ? std::move(*parts) : ModelName{.catalog = {}, .schema = {}, .model = full_name};
}

boost::json::object ModelJson(const store::ModelRecord& model) {
  const ModelName name = PartsOf(model.full_name);
  boost::json::object json;
  json["name"] = name.model;
  json["catalog_name"] = name.catalog;
  json["schema_name"] = name.schema;
  json["full_name"] = model.full_name;
  json["owner"] = model.created_by;
  json["comment"] = model.comment;
  json["created_at"] = Ms(model.created_at);
  json["created_by"] = model.created_by;
  json["updated_at"] = Ms(model.updated_at);
  return json;
}

boost::json::object VersionJson(const store::ModelVersionRecord& version) {
  const ModelName name = PartsOf(version.full_name);
  boost::json::object json;
  json["model_name"] = name.model;
  json["catalog_name"] = name.catalog;
  json["schema_name"] = name.schema;
  json["version"] = version.version;
  json["source"] = version.source;
  json["status"] = "READY";
  json["created_at"] = Ms(version.created_at);
  json["created_by"] = version.created_by;
  json["task"] = TaskOf(version);
  json["size_bytes"] = version.size_bytes;
  json["fingerprint"] = version.fingerprint;
  auto format = ParseJsonObject(version.format);
  json["format"] = format ? std::move(*format) : boost::json::object();
  return json;
}

// "name" alone may be the full name; with its catalog and schema it is the last part.
std::string ReadFullName(JsonReader& reader) {
  const std::string name = reader.RequiredString("name");
  const auto catalog = reader.String("catalog_name");
  const auto schema = reader.String("schema_name");
  std::string full_name = name;
  if (catalog || schema) {
    full_name = fmt::format("{}.{}.{}", catalog.value_or(""), schema.value_or(""), name);
  }
  if (auto good = ParseModelName(full_name, "name"); !good) reader.Refuse(good.error());
  return full_name;
}

std::string ReadComment(JsonReader& reader) {
  std::string comment = reader.String("comment").value_or("");
  if (comment.size() > kCommentSizeMax) {
    reader.Refuse(
        {Code::kInvalidArgument,
         fmt::format("comment must be at most {} bytes, got {}", kCommentSizeMax, comment.size()),
         "comment"});
  }
  return comment;
}

}  // namespace

Result<boost::json::object> ModelService::Create(std::string_view body, const Caller& caller,
                                                 Moment moment) {
  const auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  const RegisterModel request{.full_name = ReadFullName(reader),
                              .source = reader.RequiredString("source"),
                              .comment = ReadComment(reader),
                              .creator = caller.name};
  if (failure) return Fail(std::move(*failure));
  const auto existing = catalog_.Get(request.full_name);
  if (existing) {
    return Fail(Code::kAlreadyExists,
                fmt::format("registered model {} exists already", request.full_name), "name");
  }
  if (existing.error().code != Code::kNotFound) return Fail(existing.error());
  const auto version = catalog_.Register(request, moment.wall);
  if (!version) return Fail(version.error());
  return Get(request.full_name);
}

Result<boost::json::object> ModelService::CreateVersion(const std::string& full_name,
                                                        std::string_view body, const Caller& caller,
                                                        Moment moment) {
  const auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  const RegisterModel request{.full_name = full_name,
                              .source = reader.RequiredString("source"),
                              .comment = {},
                              .creator = caller.name};
  if (failure) return Fail(std::move(*failure));
  if (auto model = catalog_.Get(full_name); !model) return Fail(model.error());
  const auto version = catalog_.Register(request, moment.wall);
  if (!version) return Fail(version.error());
  return VersionJson(*version);
}

Result<boost::json::object> ModelService::List() {
  const auto models = catalog_.List();
  if (!models) return Fail(models.error());
  boost::json::array list;
  for (const auto& model : *models) list.push_back(ModelJson(model));
  return boost::json::object{{"registered_models", std::move(list)}};
}

Result<boost::json::object> ModelService::Get(const std::string& full_name) {
  const auto model = catalog_.Get(full_name);
  if (!model) return Fail(model.error());
  return ModelJson(*model);
}

Result<boost::json::object> ModelService::ListVersions(const std::string& full_name) {
  const auto versions = catalog_.ListVersions(full_name);
  if (!versions) return Fail(versions.error());
  boost::json::array list;
  for (const auto& version : *versions) list.push_back(VersionJson(version));
  return boost::json::object{{"model_versions", std::move(list)}};
}

Result<boost::json::object> ModelService::GetVersion(const std::string& full_name,
                                                     std::int64_t version) {
  const auto found = catalog_.GetVersion(full_name, version);
  if (!found) return Fail(found.error());
  return VersionJson(*found);
}

Status ModelService::Delete(const std::string& full_name) {
  if (auto unserved = CheckUnserved(full_name, std::nullopt); !unserved) return unserved;
  return catalog_.Delete(full_name);
}

Status ModelService::DeleteVersion(const std::string& full_name, std::int64_t version) {
  if (auto unserved = CheckUnserved(full_name, version); !unserved) return unserved;
  return catalog_.DeleteVersion(full_name, version);
}

Result<boost::json::object> ModelService::OptimizationInfo(const std::string& full_name,
                                                           std::int64_t version) {
  const auto found = catalog_.GetVersion(full_name, version);
  if (!found) return Fail(found.error());
  return boost::json::object{{"optimizable", true},
                             {"model_type", ArchitectureOf(*found)},
                             {"throughput_chunk_size", policy::kUncalibratedChunk}};
}

Status ModelService::CheckUnserved(const std::string& full_name,
                                   std::optional<std::int64_t> version) const {
  const auto server = endpoints_.ServerOf(full_name, version);
  if (!server) return {};
  return Fail(Code::kConflict, fmt::format("model {} is served by endpoint {}: delete that first",
                                           full_name, *server));
}

}  // namespace penstock::control
