// Catalog: registered models and their versions, from files to rows.
//
// On the control thread; looking at files and the store blocks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/store.h"

namespace penstock::control {

struct RegisterModel {
  std::string full_name;  // catalog.schema.model
  std::string source;     // Path of a GGUF file.
  std::string comment;    // Of the model; kept from its first version on.
  std::string creator;
};

class Catalog {
 public:
  // `store` is borrowed and outlives this.
  explicit Catalog(store::Store& store) : store_(store) {}

  // Adds the next version, 1 for a new model. Errors as ParseModelName and InspectModelFile.
  Result<store::ModelVersionRecord> Register(const RegisterModel& request, WallTime now);

  Result<std::vector<store::ModelRecord>> List() { return store_.ListModels(); }
  // kNotFound, naming the model or the version.
  Result<store::ModelRecord> Get(const std::string& full_name);
  Result<std::vector<store::ModelVersionRecord>> ListVersions(const std::string& full_name);
  Result<store::ModelVersionRecord> GetVersion(const std::string& full_name, std::int64_t version);

  // The caller has made sure that no endpoint serves it. The file stays. kNotFound.
  Status Delete(const std::string& full_name) { return store_.DeleteModel(full_name); }
  Status DeleteVersion(const std::string& full_name, std::int64_t version) {
    return store_.DeleteModelVersion(full_name, version);
  }

 private:
  store::Store& store_;
};

// "llm/v1/chat" or another, by the version's format.
std::string TaskOf(const store::ModelVersionRecord& version);
// The architecture that the file names; "" unknown.
std::string ArchitectureOf(const store::ModelVersionRecord& version);

}  // namespace penstock::control
