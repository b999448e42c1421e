#include "control/catalog_details.h"

#include <array>
#include <utility>

#include "control/json_reader.h"

namespace penstock::control {
namespace {

constexpr std::array<std::pair<SourceKind, std::string_view>, 4> kKinds = {
    std::pair{SourceKind::kGguf, std::string_view("gguf")},
    std::pair{SourceKind::kFolder, std::string_view("folder")},
    std::pair{SourceKind::kHub, std::string_view("hub")},
    std::pair{SourceKind::kExternal, std::string_view("external")}};

std::string TextOf(const boost::json::object& json, std::string_view key) {
  const auto* value = json.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

const boost::json::object* ObjectOf(const boost::json::object& json, std::string_view key) {
  const auto* value = json.if_contains(key);
  return value == nullptr ? nullptr : value->if_object();
}

void PutText(boost::json::object& json, std::string_view key, const std::string& text) {
  if (!text.empty()) json[key] = text;
}

}  // namespace

std::string_view ToString(SourceKind kind) {
  for (const auto& [known, word] : kKinds) {
    if (known == kind) return word;
  }
  return "";
}

boost::json::object TagsJson(const Tags& tags) {
  boost::json::object json;
  for (const auto& [key, value] : tags) json[key] = value;
  return json;
}

Tags ParseTags(const boost::json::object& json) {
  Tags tags;
  for (const auto& tag : json) {
    if (tag.value().is_string()) tags[std::string(tag.key())] = tag.value().get_string();
  }
  return tags;
}

std::string Serialize(const ModelDetails& details) {
  boost::json::object json;
  if (!details.tags.empty()) json["tags"] = TagsJson(details.tags);
  PutText(json, "default_system_prompt", details.default_system_prompt);
  PutText(json, "updated_by", details.updated_by);
  return boost::json::serialize(json);
}

std::string Serialize(const VersionDetails& details) {
  boost::json::object json;
  json["kind"] = ToString(details.kind);
  PutText(json, "source", details.source);
  PutText(json, "task", details.task);
  PutText(json, "comment", details.comment);
  PutText(json, "run_id", details.run_id);
  PutText(json, "licence", details.licence);
  PutText(json, "model_type", details.model_type);
  PutText(json, "output_type", details.output_type);
  PutText(json, "message", details.message);
  if (details.context_length) json["context_length"] = *details.context_length;
  if (!details.tags.empty()) json["tags"] = TagsJson(details.tags);
  if (details.external_model) json["external_model"] = *details.external_model;
  if (!details.key_file.empty()) json["key_file"] = details.key_file;
  PutText(json, "updated_by", details.updated_by);
  if (details.calibrating) json["calibrating"] = *details.calibrating;
  if (details.updated_at_ms) json["updated_at_ms"] = *details.updated_at_ms;
  return boost::json::serialize(json);
}

ModelDetails ParseModelDetails(std::string_view text) {
  ModelDetails details;
  const auto json = ParseJsonObject(text);
  if (!json) return details;
  if (const auto* tags = ObjectOf(*json, "tags")) details.tags = ParseTags(*tags);
  details.default_system_prompt = TextOf(*json, "default_system_prompt");
  details.updated_by = TextOf(*json, "updated_by");
  return details;
}

VersionDetails ParseVersionDetails(std::string_view text) {
  VersionDetails details;
  const auto json = ParseJsonObject(text);
  if (!json) return details;
  const std::string kind = TextOf(*json, "kind");
  for (const auto& [known, word] : kKinds) {
    if (word == kind) details.kind = known;
  }
  details.source = TextOf(*json, "source");
  details.task = TextOf(*json, "task");
  details.comment = TextOf(*json, "comment");
  details.run_id = TextOf(*json, "run_id");
  details.licence = TextOf(*json, "licence");
  details.model_type = TextOf(*json, "model_type");
  details.output_type = TextOf(*json, "output_type");
  details.message = TextOf(*json, "message");
  const auto* context = json->if_contains("context_length");
  if (context != nullptr && context->is_int64()) details.context_length = context->get_int64();
  if (const auto* tags = ObjectOf(*json, "tags")) details.tags = ParseTags(*tags);
  if (const auto* external = ObjectOf(*json, "external_model")) details.external_model = *external;
  details.key_file = TextOf(*json, "key_file");
  details.updated_by = TextOf(*json, "updated_by");
  if (const auto* begun = ObjectOf(*json, "calibrating")) details.calibrating = *begun;
  const auto* updated = json->if_contains("updated_at_ms");
  if (updated != nullptr && updated->is_int64()) details.updated_at_ms = updated->get_int64();
  return details;
}

}  // namespace penstock::control
