// ControlPort: how the gateway reaches the control plane, which lives on another thread.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "io/task.h"

namespace penstock::gateway {

struct ControlRequest {
  std::string method;
  std::string path;  // Still percent-encoded.
  std::string query;
  std::string body;
  std::string caller;                    // Name of the key.
  bool admin = false;                    // May change things.
  std::vector<std::string> groups = {};  // That the key belongs to.
  std::string host = {};                 // As the client called the server.
  std::string forwarded_proto = {};      // What a proxy says that the client spoke; "" none.
};

struct ControlAnswer {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> fields = {};  // Of the answer's head.
};

// Called on the I/O thread; completes there.
using ControlPort = std::function<io::Task<Result<ControlAnswer>>(ControlRequest)>;

}  // namespace penstock::gateway
