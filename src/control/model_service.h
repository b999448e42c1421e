// ModelService: registers, shows, changes and deletes models, in the JSON of Unity Catalog
// (2.1/unity-catalog).
//
// Fields of our own in requests: `source` (a GGUF file or a model's folder on the server's machine,
// or hf:ORG/NAME), `external_model`, `task`, `output_type` of a conversion, `tags`,
// `default_system_prompt`. In answers: see model_json.h.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "control/catalog.h"
#include "control/endpoint_service.h"
#include "control/model_works.h"
#include "control/moment.h"

namespace penstock::control {

inline constexpr std::size_t kCommentSizeMax = 1024;            // Bytes.
inline constexpr std::size_t kSystemPromptSizeMax = 64 * 1024;  // Bytes.
inline constexpr std::size_t kModelTagsMax = 50;
inline constexpr std::int64_t kPageMax = 1000;

// A page of a list.
struct Page {
  std::int64_t results_max = 0;  // 0: all.
  std::string token{};           // Of the answer before; "" for the first.
};

class ModelService {
 public:
  using Answer = Result<boost::json::object>;

  // All are borrowed and outlive this.
  ModelService(Catalog& catalog, EndpointService& endpoints, ModelWorks& works)
      : catalog_(catalog), endpoints_(endpoints), works_(works) {}

  // {"name" with "catalog_name" and "schema_name", or the full name in "name"; "comment"}: a new
  // model; with "source" or "external_model" its version 1, too. Errors: kInvalidArgument,
  // kAlreadyExists, and of the source.
  Answer Create(std::string_view body, const Caller& caller, Moment moment);
  // {"source"}: the next version of a model. kNotFound.
  Answer CreateVersion(const std::string& full_name, std::string_view body, const Caller& caller,
                       Moment moment);
  // The same with the model's name in the body, as Unity Catalog's own path has it.
  Answer CreateVersionByBody(std::string_view body, const Caller& caller, Moment moment);

  // Of one schema where both names are given.
  Answer List(const std::string& catalog, const std::string& schema, const Page& page);
  Answer Get(const std::string& full_name);
  Answer ListVersions(const std::string& full_name, const Page& page);
  Answer GetVersion(const std::string& full_name, std::int64_t version);
  Answer GetVersionByAlias(const std::string& full_name, const std::string& alias);

  // {"comment", "owner", "tags", "default_system_prompt"}: what is there is changed.
  Answer Update(const std::string& full_name, std::string_view body, const Caller& caller,
                Moment moment);
  // {"comment", "tags"}
  Answer UpdateVersion(const std::string& full_name, std::int64_t version, std::string_view body,
                       const Caller& caller, Moment moment);

  // {"version_num"}
  Answer SetAlias(const std::string& full_name, const std::string& alias, std::string_view body);
  Status DeleteAlias(const std::string& full_name, const std::string& alias);

  // The file stays. kNotFound; kConflict while an endpoint serves it.
  Status Delete(const std::string& full_name);
  Status DeleteVersion(const std::string& full_name, std::int64_t version);

  // {"optimizable", "model_type", "throughput_chunk_size"}. Ours: "reason" where it is not
  // optimizable, "calibration" with its state. Until a model is calibrated its chunk is 1: any
  // range is good, and one replica is started for it; asking is a first use.
  Answer OptimizationInfo(const std::string& full_name, std::int64_t version);

  // What calibration found, and how far one is that runs.
  Answer Calibration(const std::string& full_name, std::int64_t version);
  // {"length": "auto|reference|quick", "chunks_per_replica", "cached_weight",
  // "latency_p90_max_ms"}: begins one.
  Answer Calibrate(const std::string& full_name, std::int64_t version, std::string_view body);
  // The background jobs, the newest first.
  Answer Jobs() const;

  Catalog& catalog() { return catalog_; }

 private:
  Status CheckUnserved(const std::string& full_name, std::optional<std::int64_t> version) const;
  Answer Register(const RegisterModel& request, Moment moment);
  boost::json::object CalibrationState(const store::ModelVersionRecord& version);

  Catalog& catalog_;
  EndpointService& endpoints_;
  ModelWorks& works_;
};

// Reads "tags" of a request: an object, or MLflow's list of {"key", "value"}. Refuses too many, and
// too long ones.
class JsonReader;
std::optional<Tags> ReadTags(JsonReader& reader, const boost::json::object& json);

}  // namespace penstock::control
