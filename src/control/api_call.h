// ApiCall: one REST request on its way to the function that answers it, and the tables that say
// which one that is.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "control/endpoint_service.h"
#include "control/moment.h"

namespace penstock::control {

class Billing;
class KeyService;
class ModelService;
class Scaler;

struct ApiRequest {
  std::string method;
  std::string path;  // Still percent-encoded.
  std::string body;
  Caller caller;
  std::string query = {};  // Without '?', still percent-encoded.
  std::string host = {};   // As the client called the server; "" unknown.
  std::string forwarded_proto = {};
};

struct ApiAnswer {
  int status = 200;
  std::string body;                                              // JSON.
  std::vector<std::pair<std::string, std::string>> fields = {};  // Of the answer's head.
};

// What the paths are answered from. All but the first two may be null: their paths then answer
// "not supported".
struct ApiParts {
  EndpointService& endpoints;
  ModelService& models;
  Scaler* scaler = nullptr;
  Billing* billing = nullptr;
  KeyService* keys = nullptr;
  // The last lines that replicas of a pool printed.
  std::function<std::string(const std::string& pool)> logs = {};
};

struct ApiCall {
  ApiParts& parts;
  const ApiRequest& request;
  std::vector<std::string> parameters;  // The path's segments that stand for "*", decoded.
  Moment moment;

  // A parameter of the query, decoded; "" where it is absent.
  std::string Query(std::string_view name) const;
};

using ApiResult = Result<boost::json::object>;

enum class ApiRole {
  kAny,
  kAdmin,
  kByEndpoint
};  // kByEndpoint: the endpoint's permissions decide.

struct ApiRoute {
  std::string_view method;
  std::string_view pattern;  // "*" is any one segment.
  ApiResult (*function)(const ApiCall&);
  ApiRole role = ApiRole::kAny;
};

// More literal patterns stand before less literal ones: the first that fits is taken.
std::span<const ApiRoute> EndpointRoutes();

// An empty answer, or the failure.
ApiResult EmptyAnswer(Status status);

}  // namespace penstock::control
