// penstock bench agent: a machine that sends load for a coordinator.
#pragma once

#include <string_view>

#include "app/command.h"

namespace penstock::app {

// What an agent says on stdout, followed by HOST:PORT, once it listens.
inline constexpr std::string_view kAgentAnnouncement = "agent listens on ";

// Under `bench`.
void AddBenchAgentCommand(Program& program, CLI::App& bench);

}  // namespace penstock::app
