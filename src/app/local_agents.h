// Local agents: load processes on this machine, for more streams than one process may hold.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "fleet/process.h"

namespace penstock::app {

// `penstock bench agent` children with a key of their own; they end with this object, and with the
// thread that made it.
class LocalAgents {
 public:
  // Errors: of starting a process; kUnavailable for one that does not answer.
  static Result<LocalAgents> Start(int count);

  const std::vector<std::string>& addresses() const { return addresses_; }  // HOST:PORT of each.
  const std::string& key() const { return key_; }

 private:
  std::string key_;
  std::vector<std::string> addresses_;
  std::vector<fleet::Process> processes_;
};

}  // namespace penstock::app
