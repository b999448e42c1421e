#include "control/model_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "control/calibration_json.h"
#include "control/json_reader.h"
#include "control/model_json.h"
#include "control/names.h"
#include "policy/capacity.h"

namespace penstock::control {
namespace {

constexpr std::size_t kModelTagSizeMax = 256;  // Bytes of a key, or of a value.

// "name" alone may be the full name; with its catalog and schema it is the last part.
std::string ReadFullName(JsonReader& reader, const char* key) {
  const std::string name = reader.RequiredString(key);
  const auto catalog = reader.String("catalog_name");
  const auto schema = reader.String("schema_name");
  std::string full_name = name;
  if (catalog || schema) {
    full_name = fmt::format("{}.{}.{}", catalog.value_or(""), schema.value_or(""), name);
  }
  if (auto good = ParseModelName(full_name, key); !good) reader.Refuse(good.error());
  return full_name;
}

std::optional<std::string> ReadBounded(JsonReader& reader, const char* key, std::size_t size_max) {
  auto text = reader.String(key);
  if (text && text->size() > size_max) {
    reader.Refuse({Code::kInvalidArgument,
                   fmt::format("{} must be at most {} bytes, got {}", reader.PathOf(key), size_max,
                               text->size()),
                   reader.PathOf(key)});
  }
  return text;
}

// The fields that say what a version is made of. `comment_of_version`: the comment is not the
// model's.
RegisterModel ReadRegistration(JsonReader& reader, const boost::json::object& json,
                               const std::string& full_name, const Caller& caller,
                               bool comment_of_version) {
  RegisterModel request{.full_name = full_name, .creator = caller.name};
  std::string comment = ReadBounded(reader, "comment", kCommentSizeMax).value_or("");
  (comment_of_version ? request.version_comment : request.comment) = std::move(comment);
  if (const auto* external = reader.Object("external_model")) {
    request.external_model = *external;
    if (reader.Has("source")) {
      reader.Refuse({Code::kInvalidArgument, "source and external_model exclude each other",
                     "external_model"});
    }
  } else {
    request.source = reader.RequiredString("source");
    if (request.source.starts_with("http://") || request.source.starts_with("https://")) {
      reader.Refuse("source",
                    "hf:ORG/NAME[@REVISION][:FILE], or the path of a file or folder on the "
                    "server's machine",
                    boost::json::value(request.source));
    }
  }
  request.task = reader.String("task").value_or("");
  request.output_type = reader.String("output_type").value_or("");
  request.run_id = reader.String("run_id").value_or("");
  if (comment_of_version) request.tags = ReadTags(reader, json).value_or(Tags());
  return request;
}

// One page of `items`, whose places are the tokens; the next token in `json`.
template <typename Item, typename ToJson>
Result<boost::json::object> PageOf(const std::vector<Item>& items, const Page& page,
                                   const char* key, ToJson to_json) {
  std::size_t first = 0;
  for (const char c : page.token) {
    if (c < '0' || c > '9' || page.token.size() > 9) {
      return Fail(Code::kInvalidArgument, "page_token is none that was given out", "page_token");
    }
    first = first * 10 + static_cast<std::size_t>(c - '0');
  }
  const std::size_t count = page.results_max <= 0
                                ? items.size()
                                : static_cast<std::size_t>(std::min(page.results_max, kPageMax));
  boost::json::array list;
  std::size_t i = first;
  for (; i < items.size() && i - first < count; ++i) list.push_back(to_json(items[i]));
  boost::json::object json{{key, std::move(list)}};
  if (i < items.size()) json["next_page_token"] = fmt::format("{}", i);
  return json;
}

boost::json::object JobJson(const JobView& job) {
  boost::json::object json{{"id", job.id},           {"kind", job.kind},
                           {"subject", job.subject}, {"state", ToString(job.state)},
                           {"stage", job.stage},     {"done", job.done},
                           {"all", job.all}};
  if (!job.message.empty()) json["message"] = job.message;
  return json;
}

}  // namespace

std::optional<Tags> ReadTags(JsonReader& reader, const boost::json::object& json) {
  if (!reader.Has("tags")) return std::nullopt;
  Tags tags;
  const auto& value = json.at("tags");
  if (value.is_object()) {
    tags = ParseTags(value.get_object());
  } else if (const auto* list = reader.Array("tags")) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      const auto* tag = reader.Element(*list, "tags", i);
      const auto* key = tag == nullptr ? nullptr : tag->if_contains("key");
      const auto* text = tag == nullptr ? nullptr : tag->if_contains("value");
      if (key == nullptr || !key->is_string()) {
        reader.Refuse({Code::kInvalidArgument, fmt::format("tags[{}].key is required", i), "tags"});
        return std::nullopt;
      }
      const bool known = text != nullptr && text->is_string();
      tags[std::string(key->get_string())] = known ? std::string(text->get_string()) : "";
    }
  }
  const bool long_one = std::ranges::any_of(tags, [](const auto& tag) {
    return tag.first.empty() || tag.first.size() > kModelTagSizeMax ||
           tag.second.size() > kModelTagSizeMax;
  });
  if (tags.size() > kModelTagsMax || long_one) {
    reader.Refuse({Code::kInvalidArgument,
                   fmt::format("tags must be at most {}, each of at most {} bytes", kModelTagsMax,
                               kModelTagSizeMax),
                   "tags"});
  }
  return tags;
}

ModelService::Answer ModelService::Create(std::string_view body, const Caller& caller,
                                          Moment moment) {
  const auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  const std::string full_name = ReadFullName(reader, "name");
  const bool with_version = reader.Has("source") || reader.Has("external_model");
  RegisterModel request;
  if (with_version) request = ReadRegistration(reader, *object, full_name, caller, false);
  const ModelDetails details{
      .tags = ReadTags(reader, *object).value_or(Tags()),
      .default_system_prompt =
          ReadBounded(reader, "default_system_prompt", kSystemPromptSizeMax).value_or("")};
  const std::string comment = ReadBounded(reader, "comment", kCommentSizeMax).value_or("");
  if (failure) return Fail(std::move(*failure));
  const auto existing = catalog_.Get(full_name);
  if (existing) {
    return Fail(Code::kAlreadyExists, fmt::format("registered model {} exists already", full_name),
                "name");
  }
  if (existing.error().code != Code::kNotFound) return Fail(existing.error());
  store::ModelRecord model{.full_name = full_name,
                           .comment = comment,
                           .created_by = caller.name,
                           .created_at = moment.wall,
                           .updated_at = moment.wall,
                           .owner = caller.name,
                           .details = Serialize(details)};
  if (!with_version) {
    if (auto created = catalog_.Create(model); !created) return Fail(created.error());
    return Get(full_name);
  }
  if (auto registered = Register(request, moment); !registered) return registered;
  if (!details.tags.empty() || !details.default_system_prompt.empty()) {
    if (auto updated = catalog_.Update(model); !updated) return Fail(updated.error());
  }
  return Get(full_name);
}

ModelService::Answer ModelService::Register(const RegisterModel& request, Moment moment) {
  const auto version = catalog_.Register(request, moment.wall);
  if (!version) return Fail(version.error());
  if (auto begun = works_.Begin(*version); !begun) {
    if (auto removed = catalog_.DeleteVersion(version->full_name, version->version); !removed) {
      return Fail(removed.error());
    }
    return Fail(begun.error());
  }
  return VersionJson(*version, {});
}

ModelService::Answer ModelService::CreateVersion(const std::string& full_name,
                                                 std::string_view body, const Caller& caller,
                                                 Moment moment) {
  const auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  const RegisterModel request = ReadRegistration(reader, *object, full_name, caller, true);
  if (failure) return Fail(std::move(*failure));
  if (auto model = catalog_.Get(full_name); !model) return Fail(model.error());
  return Register(request, moment);
}

ModelService::Answer ModelService::CreateVersionByBody(std::string_view body, const Caller& caller,
                                                       Moment moment) {
  const auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  const std::string full_name = ReadFullName(reader, "model_name");
  if (failure) return Fail(std::move(*failure));
  return CreateVersion(full_name, body, caller, moment);
}

ModelService::Answer ModelService::List(const std::string& catalog, const std::string& schema,
                                        const Page& page) {
  auto models = catalog_.List();
  if (!models) return Fail(models.error());
  if (catalog.empty() != schema.empty()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("catalog_name and schema_name go together; {} is missing",
                            catalog.empty() ? "catalog_name" : "schema_name"),
                catalog.empty() ? "catalog_name" : "schema_name");
  }
  if (!catalog.empty()) {
    const std::string prefix = fmt::format("{}.{}.", catalog, schema);
    std::erase_if(*models, [&prefix](const store::ModelRecord& model) {
      return !model.full_name.starts_with(prefix);
    });
  }
  return PageOf(*models, page, "registered_models", [this](const store::ModelRecord& model) {
    return ModelJson(model, catalog_.ListAliases(model.full_name).value_or(Aliases()));
  });
}

ModelService::Answer ModelService::Get(const std::string& full_name) {
  const auto model = catalog_.Get(full_name);
  if (!model) return Fail(model.error());
  const auto aliases = catalog_.ListAliases(full_name);
  if (!aliases) return Fail(aliases.error());
  return ModelJson(*model, *aliases);
}

ModelService::Answer ModelService::ListVersions(const std::string& full_name, const Page& page) {
  const auto versions = catalog_.ListVersions(full_name);
  if (!versions) return Fail(versions.error());
  const auto aliases = catalog_.ListAliases(full_name);
  if (!aliases) return Fail(aliases.error());
  return PageOf(*versions, page, "model_versions",
                [&aliases](const store::ModelVersionRecord& version) {
                  return VersionJson(version, *aliases);
                });
}

ModelService::Answer ModelService::GetVersion(const std::string& full_name, std::int64_t version) {
  const auto found = catalog_.GetVersion(full_name, version);
  if (!found) return Fail(found.error());
  const auto aliases = catalog_.ListAliases(full_name);
  if (!aliases) return Fail(aliases.error());
  return VersionJson(*found, *aliases);
}

ModelService::Answer ModelService::GetVersionByAlias(const std::string& full_name,
                                                     const std::string& alias) {
  const auto found = catalog_.GetVersionByAlias(full_name, alias);
  if (!found) return Fail(found.error());
  return GetVersion(full_name, found->version);
}

ModelService::Answer ModelService::Update(const std::string& full_name, std::string_view body,
                                          const Caller& caller, Moment moment) {
  const auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  auto model = catalog_.Get(full_name);
  if (!model) return Fail(model.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  reader.RefuseUnsupported("new_name");
  ModelDetails details = ParseModelDetails(model->details);
  if (auto comment = ReadBounded(reader, "comment", kCommentSizeMax)) model->comment = *comment;
  if (auto owner = ReadBounded(reader, "owner", kCommentSizeMax)) model->owner = *owner;
  if (auto tags = ReadTags(reader, *object)) details.tags = std::move(*tags);
  if (auto prompt = ReadBounded(reader, "default_system_prompt", kSystemPromptSizeMax)) {
    details.default_system_prompt = std::move(*prompt);
  }
  if (failure) return Fail(std::move(*failure));
  details.updated_by = caller.name;
  model->details = Serialize(details);
  model->updated_at = moment.wall;
  if (auto updated = catalog_.Update(*model); !updated) return Fail(updated.error());
  endpoints_.Relearn(moment.now);  // Replicas that start from now on take the new prompt.
  return Get(full_name);
}

ModelService::Answer ModelService::UpdateVersion(const std::string& full_name, std::int64_t version,
                                                 std::string_view body, const Caller& caller,
                                                 Moment moment) {
  const auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  auto found = catalog_.GetVersion(full_name, version);
  if (!found) return Fail(found.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  VersionDetails details = ParseVersionDetails(found->details);
  if (auto comment = ReadBounded(reader, "comment", kCommentSizeMax)) details.comment = *comment;
  if (auto tags = ReadTags(reader, *object)) details.tags = std::move(*tags);
  if (failure) return Fail(std::move(*failure));
  details.updated_by = caller.name;
  details.updated_at_ms = moment.wall.time_since_epoch().count();
  found->details = Serialize(details);
  if (auto updated = catalog_.UpdateVersion(*found); !updated) return Fail(updated.error());
  return GetVersion(full_name, version);
}

ModelService::Answer ModelService::SetAlias(const std::string& full_name, const std::string& alias,
                                            std::string_view body) {
  const auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  const auto version = reader.Integer("version_num");
  if (!version && !failure) {
    failure = {Code::kInvalidArgument, "version_num is required", "version_num"};
  }
  if (failure) return Fail(std::move(*failure));
  if (auto set = catalog_.SetAlias(full_name, alias, *version); !set) return Fail(set.error());
  return boost::json::object{{"alias_name", alias}, {"version_num", *version}};
}

Status ModelService::DeleteAlias(const std::string& full_name, const std::string& alias) {
  return catalog_.DeleteAlias(full_name, alias);
}

Status ModelService::Delete(const std::string& full_name) {
  if (auto unserved = CheckUnserved(full_name, std::nullopt); !unserved) return unserved;
  return catalog_.Delete(full_name);
}

Status ModelService::DeleteVersion(const std::string& full_name, std::int64_t version) {
  if (auto unserved = CheckUnserved(full_name, version); !unserved) return unserved;
  return catalog_.DeleteVersion(full_name, version);
}

boost::json::object ModelService::CalibrationState(const store::ModelVersionRecord& version) {
  const auto job = works_.jobs().Find("calibrate", SubjectOf(version));
  const bool known = works_.CalibrationOf(version).has_value();
  boost::json::object json{{"state", known ? "DONE" : "NONE"}};
  if (job && (job->state != JobState::kDone || !known)) json = JobJson(*job);
  return json;
}

ModelService::Answer ModelService::OptimizationInfo(const std::string& full_name,
                                                    std::int64_t version) {
  const auto found = catalog_.GetVersion(full_name, version);
  if (!found) return Fail(found.error());
  boost::json::object json;
  Status good = CheckReady(*found);
  if (good) good = CheckFits(*found, works_.settings().machine);
  if (good && ParseVersionDetails(found->details).kind == SourceKind::kExternal) {
    good = works_.CheckCalibratable(*found);
  }
  json["optimizable"] = good.has_value();
  json["model_type"] = ModelTypeOf(*found);
  if (!good) {
    json["reason"] = good.error().message;
    return json;
  }
  works_.NoteUse(*found);
  const auto calibration = works_.CalibrationOf(*found);
  json["throughput_chunk_size"] =
      calibration ? calibration->chunk_tokens_per_s : policy::kUncalibratedChunk;
  json["calibration"] = CalibrationState(*found);
  return json;
}

ModelService::Answer ModelService::Calibration(const std::string& full_name, std::int64_t version) {
  const auto found = catalog_.GetVersion(full_name, version);
  if (!found) return Fail(found.error());
  boost::json::object json{{"state", CalibrationState(*found)}};
  if (const auto calibration = works_.CalibrationOf(*found)) {
    json["calibration"] = CalibrationJson(*calibration);
    json["report_path"] = works_.ReportPathOf(*found);
  }
  return json;
}

ModelService::Answer ModelService::Calibrate(const std::string& full_name, std::int64_t version,
                                             std::string_view body) {
  const auto object = ParseJsonObject(body.empty() ? "{}" : body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  CalibrateOptions options;
  const auto length = ParseCurveLength(reader.String("length").value_or("auto"), "length");
  if (length) options.length = *length;
  if (!length) reader.Refuse(length.error());
  if (const auto chunks = reader.Integer("chunks_per_replica")) {
    options.settings.chunks_per_replica =
        static_cast<int>(std::clamp<std::int64_t>(*chunks, 1, policy::kChunksPerReplicaMax));
    if (*chunks != options.settings.chunks_per_replica) {
      reader.Refuse({Code::kInvalidArgument,
                     fmt::format("chunks_per_replica must be 1 to {}, got {}",
                                 policy::kChunksPerReplicaMax, *chunks),
                     "chunks_per_replica"});
    }
  }
  if (const auto latency = reader.Integer("latency_p90_max_ms")) {
    if (*latency < 0) {
      reader.Refuse("latency_p90_max_ms", "0 (no limit) or more", boost::json::value(*latency));
    }
    options.settings.latency_p90_max_ms = static_cast<double>(*latency);
  }
  if (failure) return Fail(std::move(*failure));
  const auto found = catalog_.GetVersion(full_name, version);
  if (!found) return Fail(found.error());
  options.asked = true;
  if (auto started = works_.Calibrate(*found, options); !started) return Fail(started.error());
  return Calibration(full_name, version);
}

ModelService::Answer ModelService::Jobs() const {
  boost::json::array list;
  for (const JobView& job : works_.jobs().List()) list.push_back(JobJson(job));
  return boost::json::object{{"jobs", std::move(list)}};
}

Status ModelService::CheckUnserved(const std::string& full_name,
                                   std::optional<std::int64_t> version) const {
  const auto server = endpoints_.ServerOf(full_name, version);
  if (!server) return {};
  return Fail(Code::kConflict, fmt::format("model {} is served by endpoint {}: delete that first",
                                           full_name, *server));
}

}  // namespace penstock::control
