#include "bench/agents/agent_unreached.h"

#include <string_view>

#include <fmt/format.h>

namespace penstock::bench {
namespace {

bool Says(const Error& error, std::string_view words) {
  return error.message.find(words) != std::string::npos;
}

// The command that was perhaps not given on that machine.
std::string HowToStart(const AgentAttempt& attempt) {
  const bool loopback = attempt.address.IsLoopback();
  const std::string listen =
      loopback ? attempt.address.ToString() : fmt::format("0.0.0.0:{}", attempt.address.port);
  std::string text = fmt::format("start `penstock bench agent --listen {}", listen);
  if (loopback && attempt.tls) text += " --agent-tls";
  text += loopback ? "`" : "` there";
  if (attempt.with_key) text += ", with the same PENSTOCK_AGENT_KEY as here";
  return text;
}

std::string FirewallText(const AgentAttempt& attempt) {
  return fmt::format("let firewalls between here and there pass TCP port {}", attempt.address.port);
}

// Of a connection that was made, and of what was said over it.
std::string WhatToDoOnceConnected(const AgentAttempt& attempt, const Error& error) {
  if (error.code == Code::kUnauthenticated) {
    return "give the key that the agent was started with: PENSTOCK_AGENT_KEY, or --agent-key";
  }
  if (attempt.tls && Says(error, "certificate")) {
    return "its certificate is not the one that this key stands for: give both sides the same "
           "PENSTOCK_AGENT_KEY, and see that nothing else listens on that port";
  }
  if (attempt.tls && Says(error, "cannot connect")) {
    return attempt.address.IsLoopback()
               ? "it speaks no TLS: leave --agent-tls out here, or give it there, too"
               : "it speaks no TLS, so it is no agent: see what listens on that port";
  }
  if (error.code == Code::kClosed && !attempt.tls) {
    return "give --agent-tls if the agent has it, and see that nothing else listens on that port";
  }
  return "see that a `penstock bench agent` of this version listens on that port, and no other "
         "server";
}

std::string WhatToDo(const AgentAttempt& attempt, const Error& error) {
  if (Says(error, "Connection refused")) return HowToStart(attempt);
  const bool silent = error.code == Code::kDeadline || Says(error, "timed out") ||
                      Says(error, "No route") || Says(error, "unreachable");
  if (silent) {
    return fmt::format("{}; then {}", FirewallText(attempt), HowToStart(attempt));
  }
  return WhatToDoOnceConnected(attempt, error);
}

}  // namespace

Error Unreached(const AgentAttempt& attempt, const Error& error) {
  std::string why = error.message;
  const bool answered = !Says(error, "cannot connect");
  if (answered && (error.code == Code::kNotFound || error.code == Code::kMethodNotAllowed ||
                   error.code == Code::kUpstream)) {
    why = "what answers is no agent";  // Rather than another server's page.
  }
  const std::string address = attempt.address.ToString();
  const bool told = attempt.name == address || why.find(address) != std::string::npos;
  return {error.code,
          fmt::format("agent {}{}: {}; {}", attempt.name,
                      told ? std::string() : fmt::format(" ({})", address), why,
                      WhatToDo(attempt, error)),
          "agents"};
}

}  // namespace penstock::bench
