// ModelService: registers, shows and deletes models, in the JSON of Unity Catalog
// (2.1/unity-catalog).
//
// Fields of our own: `source` in requests, the path of a GGUF file on the server's machine;
// `size_bytes`, `fingerprint`, `format` and `task` of a version.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "control/catalog.h"
#include "control/endpoint_service.h"
#include "control/moment.h"

namespace penstock::control {

inline constexpr std::size_t kCommentSizeMax = 1024;  // Bytes.

class ModelService {
 public:
  // Both are borrowed and outlive this.
  ModelService(Catalog& catalog, const EndpointService& endpoints)
      : catalog_(catalog), endpoints_(endpoints) {}

  // {"name" with "catalog_name" and "schema_name", or the full name in "name"; "source";
  // "comment"}: a new model with its version 1. Errors: kInvalidArgument, kAlreadyExists, and of
  // the file.
  Result<boost::json::object> Create(std::string_view body, const Caller& caller, Moment moment);
  // {"source"}: the next version of a model. kNotFound.
  Result<boost::json::object> CreateVersion(const std::string& full_name, std::string_view body,
                                            const Caller& caller, Moment moment);

  Result<boost::json::object> List();
  Result<boost::json::object> Get(const std::string& full_name);
  Result<boost::json::object> ListVersions(const std::string& full_name);
  Result<boost::json::object> GetVersion(const std::string& full_name, std::int64_t version);

  // The file stays. kNotFound; kConflict while an endpoint serves it.
  Status Delete(const std::string& full_name);
  Status DeleteVersion(const std::string& full_name, std::int64_t version);

  // {"optimizable", "model_type", "throughput_chunk_size"}. Until a model is calibrated its chunk
  // is 1: any range is good, and one replica is started for it.
  Result<boost::json::object> OptimizationInfo(const std::string& full_name, std::int64_t version);

 private:
  Status CheckUnserved(const std::string& full_name, std::optional<std::int64_t> version) const;

  Catalog& catalog_;
  const EndpointService& endpoints_;
};

}  // namespace penstock::control
