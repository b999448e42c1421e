#include "fleet/slurm_backend.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "base/file.h"
#include "fleet/command.h"
#include "fleet/replica_log.h"

namespace penstock::fleet {
namespace {

constexpr std::int64_t kMiB = 1 << 20;
constexpr std::size_t kTailMax = 600;

std::string Prefix(const std::string& instance) { return fmt::format("penstock-{}-", instance); }

// As one word of the shell's.
std::string Quoted(const std::string& word) {
  std::string quoted = "'";
  for (const char c : word) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  quoted += '\'';
  // The placeholder steps out of the quotes to become the variable.
  for (std::size_t at = 0; (at = quoted.find(kAddressPlaceholder, at)) != std::string::npos;) {
    constexpr std::string_view kVariable = "'\"$address\"'";
    quoted.replace(at, std::string_view(kAddressPlaceholder).size(), kVariable);
    at += kVariable.size();
  }
  return quoted;
}

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

Result<std::unique_ptr<SlurmBackend>> SlurmBackend::Open(SlurmSettings settings) {
  std::error_code failure;
  std::filesystem::create_directories(settings.folder, failure);
  if (failure) {
    return Fail(Code::kForbidden,
                fmt::format("cannot make {}: {}", settings.folder, failure.message()));
  }
  return std::unique_ptr<SlurmBackend>(new SlurmBackend(std::move(settings)));
}

std::string SlurmScript(const ReplicaLaunch& launch, const SlurmSettings& settings,
                        const std::string& address_file) {
  std::string words;
  for (const std::string& word : launch.command) words += " " + Quoted(word);
  return fmt::format(
      "#!/bin/bash\n"
      "address=\"{}:$(({} + RANDOM % {}))\"\n"
      "echo \"$address\" > {}.$$ && mv {}.$$ {}\n"
      "exec{}\n",
      settings.host, settings.port_first, settings.port_count, Quoted(address_file),
      Quoted(address_file), Quoted(address_file), words);
}

Result<std::string> SlurmBackend::Start(const ReplicaLaunch& launch) {
  const std::string address_file = Path(launch.place_name + ".address");
  std::error_code ignored;
  std::filesystem::remove(address_file, ignored);
  const std::string script = Path(launch.place_name + ".sh");
  const std::string text = SlurmScript(launch, settings_, address_file);
  if (auto written = WriteFileDurably(script, text, 0700); !written) {
    return Fail(written.error());
  }
  std::vector<std::string> words = {
      "sbatch",
      "--parsable",
      "--no-requeue",
      "--job-name=" + Prefix(settings_.instance) + launch.place_name,
      "--output=" + Path(launch.place_name + ".log"),
      "--open-mode=truncate",
      fmt::format("--cpus-per-task={}", std::max(1, launch.cores_wanted))};
  if (launch.memory_bytes > 0) {
    words.push_back(fmt::format("--mem={}M", (launch.memory_bytes + kMiB - 1) / kMiB));
  }
  words.insert(words.end(), settings_.sbatch_flags.begin(), settings_.sbatch_flags.end());
  words.push_back(script);
  auto answer = RunCommand(words, settings_.wait_max);
  if (!answer) return Fail(answer.error());
  // "ID" or "ID;CLUSTER".
  std::string id = answer->substr(0, answer->find_first_of(";\n"));
  if (id.empty()) return Fail(Code::kUpstream, "sbatch answered no job");
  return id;
}

Status SlurmBackend::Stop(const std::string& handle, bool kill) {
  std::vector<std::string> words = {"scancel"};
  if (kill) words.insert(words.end(), {"--signal=KILL", "--full"});
  words.push_back(handle);
  const auto done = RunCommand(words, settings_.wait_max);
  if (!done) return Fail(done.error());
  return {};
}

std::vector<ListedReplica> ParseSqueue(std::string_view text, const std::string& instance) {
  std::vector<ListedReplica> listed;
  const std::string prefix = Prefix(instance);
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t first = line.find('|');
    const std::size_t second = line.find('|', first + 1);
    const std::size_t third = line.find('|', second + 1);
    if (first == std::string_view::npos || second == std::string_view::npos ||
        third == std::string_view::npos) {
      continue;
    }
    const std::string_view state = line.substr(first + 1, second - first - 1);
    const std::string_view job = line.substr(third + 1);
    if (!job.starts_with(prefix)) continue;
    const bool lives = state == "PENDING" || state == "RUNNING" || state == "CONFIGURING" ||
                       state == "COMPLETING" || state == "SUSPENDED";
    listed.push_back({.handle = std::string(line.substr(0, first)),
                      .place_name = std::string(job.substr(prefix.size())),
                      .address = {},
                      .ended = !lives,
                      .reason = std::string(line.substr(second + 1, third - second - 1))});
  }
  return listed;
}

Result<std::vector<ListedReplica>> SlurmBackend::List() {
  const auto text =
      RunCommand({"squeue", "--noheader", "--format=%i|%T|%r|%j"}, settings_.wait_max);
  if (!text) return Fail(text.error());
  std::vector<ListedReplica> listed = ParseSqueue(*text, settings_.instance);
  for (ListedReplica& replica : listed) {
    replica.address = FirstLine(Path(replica.place_name + ".address"));
  }
  return listed;
}

std::string SlurmBackend::ReasonOf(const std::string& handle) {
  const auto text =
      RunCommand({"scontrol", "--oneliner", "show", "job", handle}, settings_.wait_max);
  if (!text) return fmt::format("job {} is gone", handle);
  const auto field = [&text](std::string_view name) {
    const std::size_t at = text->find(name);
    if (at == std::string::npos) return std::string("?");
    const std::size_t begin = at + name.size();
    return text->substr(begin, text->find_first_of(" \n", begin) - begin);
  };
  const std::string state = field("JobState=");
  std::string reason = fmt::format("job {} is {}, exit {}", handle, state, field("ExitCode="));
  const std::string job = field("JobName=");
  const std::string prefix = Prefix(settings_.instance);
  if (state != "COMPLETED" && state != "CANCELLED" && job.starts_with(prefix)) {
    const std::string tail = TailOf(job.substr(prefix.size()), kTailMax);
    if (!tail.empty()) reason += "; it printed last: " + tail;
  }
  return reason;
}

std::string SlurmBackend::TailOf(const std::string& log_name, std::size_t size_max) {
  std::ifstream file(Path(log_name + ".log"));
  std::stringstream text;
  text << file.rdbuf();
  return PrintableTail(std::move(text).str(), size_max);
}

}  // namespace penstock::fleet
