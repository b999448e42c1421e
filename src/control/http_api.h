// HttpApi: the REST paths of the control plane, from method, path and body to status and JSON.
//
//   /api/2.0/serving-endpoints…          endpoints (endpoint_routes.cc)
//   and those of models (model_routes.h)
//
// Knows no socket. On the control thread; the store blocks. Errors are {"error_code", "message"}.
#pragma once

#include <utility>

#include "control/api_call.h"
#include "control/endpoint_service.h"
#include "control/model_service.h"
#include "control/moment.h"

namespace penstock::control {

class HttpApi {
 public:
  // What `parts` refers to is borrowed and outlives this.
  explicit HttpApi(ApiParts parts) : parts_(std::move(parts)) {}

  ApiAnswer Handle(const ApiRequest& request, Moment moment);

 private:
  ApiParts parts_;
};

}  // namespace penstock::control
