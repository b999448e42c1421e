// Remote: how the client commands (endpoint, model) reach a running server.
#pragma once

#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "app/command.h"
#include "base/result.h"

namespace penstock::app {

// Where the server is and who we are. What is empty is found in the data directory.
struct RemoteOptions {
  std::string server;   // URL; "" reads DATA_DIR/run/url.
  std::string api_key;  // "" reads DATA_DIR/admin.key.
  std::string data_dir = "data";
};

// Registers --server, --api-key and --data-dir.
void AddRemoteFlags(CLI::App& command, RemoteOptions& options);

struct RemoteAnswer {
  int status = 0;
  std::string body;
};

// One request; blocks until its answer. Errors: kUnavailable (no server there), kInvalidArgument
// (no address or key to be had, saying where it was looked for).
Result<RemoteAnswer> CallServer(const RemoteOptions& options, std::string_view method,
                                std::string_view target, std::string_view body);

// CallServer, then: a good answer's body read as JSON; a bad one's message as an error.
Result<boost::json::value> CallForJson(const RemoteOptions& options, std::string_view method,
                                       std::string_view target, std::string_view body);

// CallServer, then: a good answer's body on stdout, indented; a bad one's message on stderr. Gives
// the exit code.
int CallAndPrint(const RemoteOptions& options, std::string_view method, std::string_view target,
                 std::string_view body);

}  // namespace penstock::app
