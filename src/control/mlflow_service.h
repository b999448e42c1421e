// MlflowService: the registered models as MLflow's model registry (2.0/mlflow) shows and changes
// them.
//
// The same models as Unity Catalog's, under their full names. Parameters come in the query or in
// the body: MLflow's own client sends a body with DELETE, others a query.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "control/model_service.h"

namespace penstock::control {

class MlflowService {
 public:
  using Answer = Result<boost::json::object>;

  // All are borrowed and outlive this.
  MlflowService(Catalog& catalog, ModelService& models) : catalog_(catalog), models_(models) {}

  // `method` and `path` behind "/api/2.0/mlflow/". kNotFound: no such path. kMethodNotAllowed.
  Answer Handle(std::string_view method, std::string_view path, std::string_view query,
                std::string_view body, const Caller& caller, Moment moment);

 private:
  struct Call;
  struct Route;
  static const Route kRoutes[];

  Answer CreateModel(const Call& call);
  Answer GetModel(const Call& call);
  Answer SearchModels(const Call& call);
  Answer UpdateModel(const Call& call);
  Answer DeleteModel(const Call& call);
  Answer SetModelTag(const Call& call);
  Answer DeleteModelTag(const Call& call);
  Answer GetLatestVersions(const Call& call);
  Answer SetAlias(const Call& call);
  Answer GetAlias(const Call& call);
  Answer DeleteAlias(const Call& call);
  Answer CreateVersion(const Call& call);
  Answer GetVersion(const Call& call);
  Answer SearchVersions(const Call& call);
  Answer UpdateVersion(const Call& call);
  Answer DeleteVersion(const Call& call);
  Answer SetVersionTag(const Call& call);
  Answer DeleteVersionTag(const Call& call);
  Answer GetDownloadUri(const Call& call);

  Result<boost::json::object> ModelNamed(const std::string& name);
  Result<boost::json::object> VersionNamed(const std::string& name, std::int64_t version);
  // The model's details, changed by `change`, in the store.
  template <typename Change>
  Answer ChangeModel(const Call& call, Change change);
  template <typename Change>
  Answer ChangeVersion(const Call& call, Change change);

  Catalog& catalog_;
  ModelService& models_;
};

// The model's name that a filter asks for: "name='x'", or "name LIKE 'x%'" (a prefix, told by
// `prefix`). "" for an empty filter. kUnsupported for anything else.
struct NameFilter {
  std::string name{};
  bool prefix = false;
};
Result<NameFilter> ParseNameFilter(std::string_view filter);

}  // namespace penstock::control
