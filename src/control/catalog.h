// Catalog: registered models and their versions, from files, folders and URLs to rows.
//
// On the control thread; looking at files and the store blocks. What takes long (converting a
// folder, pulling a repository) is not done here: such a version is added as pending, and
// CompleteVersion() or FailVersion() ends that.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "control/catalog_details.h"
#include "control/external_model.h"
#include "control/model_file.h"
#include "control/secret_files.h"
#include "store/store.h"

namespace penstock::control {

// Words of a version's status.
inline constexpr const char* kVersionReady = "READY";
inline constexpr const char* kVersionPending = "PENDING_REGISTRATION";
inline constexpr const char* kVersionFailed = "FAILED_REGISTRATION";

struct RegisterModel {
  std::string full_name{};  // catalog.schema.model
  std::string source{};     // A GGUF file, a model's folder, or "hf:ORG/NAME[@REVISION][:FILE]".
  std::string comment{};    // Of the model; kept from its first version on.
  std::string creator{};
  std::string version_comment{};
  std::string run_id{};
  std::string task{};         // Overrides what the source says; "" leaves it.
  std::string output_type{};  // Of a conversion; "" is f16.
  Tags tags{};                // Of the version.
  std::optional<boost::json::object> external_model{};  // In place of a source.
};

class Catalog {
 public:
  // `store` is borrowed and outlives this. `mirror_path`: folder of pulled repositories, "" none.
  // `secrets_path`: folder for external models' keys, "" none: then no key can be given.
  explicit Catalog(store::Store& store, std::string mirror_path = {}, std::string secrets_path = {})
      : store_(store), mirror_path_(std::move(mirror_path)), secrets_(std::move(secrets_path)) {}

  // Adds the next version, 1 for a new model. A GGUF file and an external model are ready at once;
  // others are pending. Errors as ParseModelName, InspectModelFile, convert::OpenModelFolder,
  // ParseHubSource and CheckExternalModel.
  Result<store::ModelVersionRecord> Register(const RegisterModel& request, WallTime now);
  // A model without versions. kAlreadyExists.
  Result<store::ModelRecord> Create(const store::ModelRecord& model);

  // The pending version's file is `path` now. `found` overrides what the record says where not "".
  struct Completion {
    std::string path{};
    std::string licence{};
    std::string task{};
    std::string model_type{};
  };
  Status CompleteVersion(const std::string& full_name, std::int64_t version,
                         const Completion& completion);
  Status FailVersion(const std::string& full_name, std::int64_t version,
                     const std::string& message);

  Result<std::vector<store::ModelRecord>> List() { return store_.ListModels(); }
  // kNotFound, naming the model or the version.
  Result<store::ModelRecord> Get(const std::string& full_name);
  Result<std::vector<store::ModelVersionRecord>> ListVersions(const std::string& full_name);
  Result<store::ModelVersionRecord> GetVersion(const std::string& full_name, std::int64_t version);
  // kNotFound: no such alias.
  Result<store::ModelVersionRecord> GetVersionByAlias(const std::string& full_name,
                                                      const std::string& alias);

  Status Update(const store::ModelRecord& model) { return store_.UpdateModel(model); }
  Status UpdateVersion(const store::ModelVersionRecord& version) {
    return store_.UpdateModelVersion(version);
  }

  // kNotFound (model or version), kInvalidArgument (the alias's name).
  Status SetAlias(const std::string& full_name, const std::string& alias, std::int64_t version);
  Status DeleteAlias(const std::string& full_name, const std::string& alias);
  Result<std::vector<store::ModelAliasRecord>> ListAliases(const std::string& full_name) {
    return store_.ListModelAliases(full_name);
  }

  // The caller has made sure that no endpoint serves it. The file stays. kNotFound.
  // Keys of external models go with it.
  Status Delete(const std::string& full_name);
  Status DeleteVersion(const std::string& full_name, std::int64_t version);

  // What calls an external model; nullopt for others.
  std::optional<ExternalCall> ExternalOf(const store::ModelVersionRecord& version) const;
  // Names of all keys that versions have. Errors: of the store.
  Result<std::set<std::string>> KeyFiles();

  const SecretFiles& secrets() const { return secrets_; }
  const std::string& mirror_path() const { return mirror_path_; }

 private:
  Result<store::ModelVersionRecord> Describe(const RegisterModel& request, WallTime now) const;
  Status DescribeExternal(const RegisterModel& request, store::ModelVersionRecord& version,
                          VersionDetails& details) const;
  void ForgetKey(const store::ModelVersionRecord& version) const;

  store::Store& store_;
  std::string mirror_path_;
  SecretFiles secrets_;
};

// "llm/v1/chat" or another: what the version was registered with, else by its file's architecture.
std::string TaskOf(const store::ModelVersionRecord& version);
// The architecture that the file names; "" unknown.
std::string ArchitectureOf(const store::ModelVersionRecord& version);
// What get-model-optimization-info calls model_type.
std::string ModelTypeOf(const store::ModelVersionRecord& version);

// kConflict while it is pending, kUnsupported where registration failed: an endpoint cannot have
// it. The message says why.
Status CheckReady(const store::ModelVersionRecord& version);

}  // namespace penstock::control
