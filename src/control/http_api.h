// HttpApi: the REST paths of the control plane, from method, path and body to status and JSON.
//
//   /api/2.0/serving-endpoints…          endpoints
//   /api/2.1/unity-catalog/models…       registered models and their versions
//
// Knows no socket. On the control thread; the store blocks. Errors are {"error_code", "message"}.
#pragma once

#include <string>

#include "control/endpoint_service.h"
#include "control/model_service.h"
#include "control/moment.h"

namespace penstock::control {

struct ApiRequest {
  std::string method;
  std::string path;  // Still percent-encoded.
  std::string body;
  Caller caller;
};

struct ApiAnswer {
  int status = 200;
  std::string body;  // JSON.
};

class HttpApi {
 public:
  // Both are borrowed and outlive this.
  HttpApi(EndpointService& endpoints, ModelService& models)
      : endpoints_(endpoints), models_(models) {}

  ApiAnswer Handle(const ApiRequest& request, Moment moment);

 private:
  EndpointService& endpoints_;
  ModelService& models_;
};

}  // namespace penstock::control
