#include "app/local_agents.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/bench_agent_command.h"
#include "base/file.h"

namespace penstock::app {

namespace {

constexpr std::size_t kAnnouncementBytesMax = 4096;

Result<std::string> NewKey() {
  std::array<unsigned char, 16> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return Fail(SystemError("read", "random bytes", errno));
  }
  return fmt::format("{:02x}", fmt::join(bytes, ""));
}

// What the agent says once it listens; see AddBenchAgentCommand.
Result<std::string> ReadAddress(int descriptor) {
  std::string said;
  while (said.size() < kAnnouncementBytesMax) {
    std::array<char, 512> piece{};
    const ssize_t got = read(descriptor, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    said.append(piece.data(), static_cast<std::size_t>(got));
    const auto at = said.find(kAgentAnnouncement);
    const auto end = at == std::string::npos ? at : said.find('\n', at);
    if (end != std::string::npos) {
      return said.substr(at + kAgentAnnouncement.size(), end - at - kAgentAnnouncement.size());
    }
  }
  return Fail(Code::kUnavailable, fmt::format("a load process did not start: {}", said),
              "processes");
}

}  // namespace

Result<LocalAgents> LocalAgents::Start(int count) {
  LocalAgents agents;
  auto key = NewKey();
  if (!key) return Fail(key.error());
  agents.key_ = std::move(*key);
  // Not on the command line, which everybody on this machine can read.
  setenv("PENSTOCK_AGENT_KEY", agents.key_.c_str(), 1);
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  for (int i = 0; i < count; ++i) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return Fail(SystemError("open", "a pipe", errno));
    const Descriptor ours(ends[0]);
    Descriptor theirs(ends[1]);
    auto process = fleet::Process::Start(
        {.command = {program, "bench", "agent", "--listen=127.0.0.1:0"}, .output = theirs.get()});
    if (!process) return Fail(process.error());
    theirs = Descriptor();
    auto address = ReadAddress(ours.get());
    if (!address) return Fail(address.error());
    agents.addresses_.push_back(std::move(*address));
    agents.processes_.push_back(std::move(*process));
  }
  return agents;
}

}  // namespace penstock::app
