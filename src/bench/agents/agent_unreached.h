// Why an agent was not reached, and what to do about it. Pure.
#pragma once

#include <string>

#include "base/result.h"
#include "io/address.h"

namespace penstock::bench {

struct AgentAttempt {
  std::string name;  // As --agents has it.
  io::Address address;
  bool tls = false;
  bool with_key = false;
};

// `error` of the attempt, for people: the agent, its address, the reason, and what to do. Its code
// stays; its field is "agents".
Error Unreached(const AgentAttempt& attempt, const Error& error);

}  // namespace penstock::bench
