#include "fleet/exec_backend.h"

#include <fmt/format.h>

#include <sstream>

#include "fleet/command.h"

namespace penstock::fleet {

Result<std::string> ExecBackend::Start(const ReplicaLaunch& launch) {
  std::vector<std::string> words = {
      settings_.hook, "start", settings_.instance + "-" + launch.place_name,
      std::to_string(launch.cores_wanted), std::to_string(launch.memory_bytes)};
  words.insert(words.end(), launch.command.begin(), launch.command.end());
  auto answer = RunCommand(words, settings_.wait_max);
  if (!answer) return Fail(answer.error());
  std::string handle = answer->substr(0, answer->find_first_of(" \n"));
  if (handle.empty()) return Fail(Code::kUpstream, settings_.hook + " start printed no handle");
  return handle;
}

Status ExecBackend::Stop(const std::string& handle, bool kill) {
  const auto done =
      RunCommand({settings_.hook, "stop", handle, kill ? "kill" : "term"}, settings_.wait_max);
  if (!done) return Fail(done.error());
  return {};
}

std::vector<ListedReplica> ParseHookList(std::string_view text, const std::string& instance) {
  std::vector<ListedReplica> listed;
  std::istringstream lines{std::string(text)};
  const std::string prefix = instance + "-";
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    ListedReplica replica;
    std::string name;
    std::string state;
    words >> replica.handle >> name >> state >> replica.address;
    if ((state != "running" && state != "ended") || !name.starts_with(prefix)) continue;
    replica.place_name = name.substr(prefix.size());
    replica.ended = state == "ended";
    listed.push_back(std::move(replica));
  }
  return listed;
}

Result<std::vector<ListedReplica>> ExecBackend::List() {
  const auto text = RunCommand({settings_.hook, "list"}, settings_.wait_max);
  if (!text) return Fail(text.error());
  return ParseHookList(*text, settings_.instance);
}

std::string ExecBackend::ReasonOf(const std::string& handle) {
  return fmt::format("{} says that {} has ended", settings_.hook, handle);
}

}  // namespace penstock::fleet
