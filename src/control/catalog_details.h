// CatalogDetails: what the catalog knows of models and versions beyond their columns, as JSON.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::control {

using Tags = std::map<std::string, std::string>;

struct ModelDetails {
  Tags tags{};
  // Put in front of a chat whose client sent no system message; "" for none.
  std::string default_system_prompt{};
  std::string updated_by{};  // Name of the key; "" nobody since it was made.
};

// What a version was made from.
enum class SourceKind {
  kGguf,      // A GGUF file: served as it lies.
  kFolder,    // A folder of safetensors, as Hugging Face or MLflow writes it: converted.
  kHub,       // A repository on a hub: pulled, and converted where needed.
  kExternal,  // Another server's model: called, not run.
};
std::string_view ToString(SourceKind kind);  // "gguf", "folder", "hub", "external"

struct VersionDetails {
  SourceKind kind = SourceKind::kGguf;
  std::string source{};  // As it was given: a path, "hf:org/name", a URL.
  std::string task{};    // "llm/v1/chat", ...; "" follows from the file's architecture.
  std::string comment{};
  std::string run_id{};
  std::string licence{};      // "" unknown.
  std::string model_type{};   // "llama", "gte-large", ...; "" follows from the file.
  std::string output_type{};  // Of a conversion: "f16", ...
  std::string message{};      // Why registration failed; "" otherwise.
  std::optional<std::int64_t> context_length{};  // Tokens.
  Tags tags{};
  std::optional<boost::json::object> external_model{};  // As the API has it, keys left out.
  std::string key_file{};    // Of an external model, in the secrets' folder; "" none. Never shown.
  std::string updated_by{};  // Name of the key; "" nobody since it was made.
  std::optional<std::int64_t> updated_at_ms{};
  // A calibration that was begun and has not ended, as ModelWorks needs it to begin anew.
  std::optional<boost::json::object> calibrating{};
};

std::string Serialize(const ModelDetails& details);
std::string Serialize(const VersionDetails& details);

// Of what Serialize() wrote; what is missing or odd keeps its default, so that rows of an older
// version are read, too.
ModelDetails ParseModelDetails(std::string_view text);
VersionDetails ParseVersionDetails(std::string_view text);

boost::json::object TagsJson(const Tags& tags);
Tags ParseTags(const boost::json::object& json);

}  // namespace penstock::control
