#include "fleet/command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/file.h"

extern "C" char** environ;

namespace penstock::fleet {
namespace {

constexpr std::size_t kErrorShownMax = 400;

struct Pipe {
  Descriptor read;
  Descriptor write;
};

Pipe OpenPipe() {
  std::array<int, 2> ends{-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return {};
  return {.read = Descriptor(ends[0]), .write = Descriptor(ends[1])};
}

Result<pid_t> Spawn(const std::vector<std::string>& words, int output, int errors) {
  std::vector<char*> arguments;
  std::vector<std::string> copies = words;
  for (std::string& word : copies) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  sigset_t standard;
  sigemptyset(&standard);
  sigaddset(&standard, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &standard);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t child = 0;
  const int failure =
      posix_spawnp(&child, arguments.front(), &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failure != 0) {
    return Fail(Code::kInvalidArgument,
                fmt::format("cannot run {}: {}", words.front(), std::strerror(failure)));
  }
  return child;
}

// Appends what is there; false at the end.
bool ReadSome(const Descriptor& from, std::string& into) {
  std::array<char, 16 * 1024> buffer{};
  const ssize_t got = read(from.get(), buffer.data(), buffer.size());
  if (got > 0) into.append(buffer.data(), static_cast<std::size_t>(got));
  return got > 0 || (got < 0 && errno == EINTR);
}

struct Output {
  std::string text;
  std::string errors;
  Code problem = Code::kInternal;  // Meaningful where `whole` is false.
  bool whole = false;
};

Output ReadBoth(Pipe& output, Pipe& errors, TimePoint end) {
  Output read;
  while (output.read || errors.read) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) {
      read.problem = Code::kDeadline;
      return read;
    }
    // A negative descriptor is passed over.
    std::array<pollfd, 2> waits{pollfd{output.read ? output.read.get() : -1, POLLIN, 0},
                                pollfd{errors.read ? errors.read.get() : -1, POLLIN, 0}};
    if (poll(waits.data(), waits.size(), static_cast<int>(left)) < 0 && errno != EINTR) break;
    if (waits[0].revents != 0 && !ReadSome(output.read, read.text)) output.read = Descriptor();
    if (waits[1].revents != 0 && !ReadSome(errors.read, read.errors)) errors.read = Descriptor();
    if (read.text.size() + read.errors.size() > kCommandOutputMax) {
      read.problem = Code::kTooLarge;
      return read;
    }
  }
  read.whole = true;
  return read;
}

}  // namespace

Result<std::string> RunCommand(const std::vector<std::string>& words, Duration wait_max) {
  const TimePoint end = Clock::now() + wait_max;
  Pipe output = OpenPipe();
  Pipe errors = OpenPipe();
  if (!output.write || !errors.write) return Fail(SystemError("run", words.front(), errno));
  const auto child = Spawn(words, output.write.get(), errors.write.get());
  if (!child) return Fail(child.error());
  output.write = Descriptor();
  errors.write = Descriptor();
  Output read = ReadBoth(output, errors, end);
  if (!read.whole) kill(*child, SIGKILL);
  int status = 0;
  while (waitpid(*child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!read.whole) {
    const char* what =
        read.problem == Code::kDeadline ? "did not end within" : "printed too much in";
    return Fail(read.problem, fmt::format("{} {} {:g} s", words.front(), what, Seconds(wait_max)));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return std::move(read.text);
  if (read.errors.size() > kErrorShownMax) read.errors.resize(kErrorShownMax);
  while (!read.errors.empty() && read.errors.back() == '\n') read.errors.pop_back();
  return Fail(
      Code::kUnavailable,
      fmt::format("{} failed with status {}: {}", words.front(),
                  WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read.errors));
}

}  // namespace penstock::fleet
