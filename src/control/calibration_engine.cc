#include "control/calibration_engine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/file.h"
#include "fleet/replica_log.h"
#include "http/client.h"
#include "io/epoll/epoll_loop.h"
#include "io/task_scope.h"

namespace penstock::control {
namespace {

constexpr Duration kHealthPause = std::chrono::milliseconds(200);
constexpr Duration kHealthWait = std::chrono::seconds(5);
constexpr Duration kEndWait = std::chrono::seconds(10);
constexpr std::size_t kLastWordsMax = 400;
constexpr std::size_t kHealthAnswerMax = 64 * 1024;

io::Task<void> AskHealth(io::Loop& loop, const CalibrationPlan& plan, bool& healthy) {
  auto address = io::Address::Parse(plan.address);
  if (!address) co_return;
  http::Client client(loop);
  const http::Origin origin{.address = std::move(*address), .connect = {}, .host = "localhost"};
  const Deadline deadline = Deadline::After(loop.Now(), kHealthWait);
  auto response = co_await client.Send(origin, {.target = plan.health_target}, deadline);
  if (!response) co_return;
  const auto body = co_await (*response)->ReadAll(kHealthAnswerMax, deadline);
  healthy = body.has_value() && (*response)->status() == 200;
}

}  // namespace

Result<CalibrationEngine> CalibrationEngine::Start(const CalibrationPlan& plan) {
  if (plan.address.starts_with("unix:")) {
    unlink(plan.address.c_str() + 5);  // Of an engine that was killed.
  }
  Descriptor log(open(plan.log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!log) return Fail(SystemError("create", plan.log_path, errno));
  auto process = fleet::Process::Start({.command = plan.engine_command, .output = log.get()});
  if (!process) return Fail(process.error());
  return CalibrationEngine(std::move(*process), plan.log_path);
}

CalibrationEngine::~CalibrationEngine() {
  if (process_.pid() == 0) return;
  process_.Terminate();
  pollfd ended{.fd = process_.exit_descriptor(), .events = POLLIN, .revents = 0};
  const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(kEndWait).count();
  if (poll(&ended, 1, static_cast<int>(wait)) == 0) process_.Kill();
}

Status CalibrationEngine::AwaitHealth(const CalibrationPlan& plan,
                                      const std::atomic<bool>& stopped) {
  const Deadline deadline = Deadline::After(Clock::now(), plan.start_max);
  io::EpollLoop loop;
  while (!stopped.load()) {
    bool healthy = false;
    io::RunBlocking(loop, AskHealth(loop, plan, healthy));
    if (healthy) return {};
    if (auto running = Wait(kHealthPause); !running) return running;
    if (deadline.Passed(Clock::now())) {
      return Fail(Code::kDeadline, fmt::format("the engine was not healthy after {:.0f} s",
                                               Seconds(plan.start_max)));
    }
  }
  return Fail(Code::kCancelled, "the calibration was stopped");
}

Status CalibrationEngine::Wait(Duration pause) {
  pollfd ended{.fd = process_.exit_descriptor(), .events = POLLIN, .revents = 0};
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(pause).count();
  (void)poll(&ended, 1, static_cast<int>(ms));
  const auto exit = process_.TryWait();
  if (!exit) return {};
  return Fail(Code::kUpstream,
              fmt::format("the engine {}; its last words: {}", exit->ToString(), LastWords()));
}

std::string CalibrationEngine::LastWords() const {
  constexpr std::size_t kLogMax = std::size_t{8} << 20;
  std::string text = ReadSmallFile(log_path_, kLogMax).value_or("");
  text = fleet::PrintableTail(std::move(text), kLastWordsMax);
  return text.empty() ? "none" : text;
}

}  // namespace penstock::control
