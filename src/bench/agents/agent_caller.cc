#include "bench/agents/agent_caller.h"

#include <utility>

#include "bench/agents/agent_identity.h"
#include "bench/drive/reply_reader.h"

namespace penstock::bench {
namespace {

constexpr std::size_t kAnswerBytesMax = std::size_t{64} << 20;  // Of what is no level's records.

}  // namespace

struct AgentCaller::Call {
  const AgentQuestion& question;
  Deadline deadline;
  const OnPiece& on_piece;
  Status outcome = Fail(Code::kCancelled, "stopped");
};

AgentCaller::AgentCaller(const AgentTarget& target)
    : client_(loop_), authorization_("Bearer " + target.key) {
  origin_ = {.address = target.address, .connect = {}, .host = target.address.ToString()};
  if (target.tls != nullptr) {
    origin_.connect = {.tls = target.tls, .tls_server_name = std::string(kAgentName)};
  }
  if (!target.key.empty()) fields_.push_back({"authorization", authorization_});
}

Result<std::string> AgentCaller::Ask(const AgentQuestion& question, Deadline deadline) {
  std::string answer;
  bool too_much = false;
  const Status asked = Follow(question, deadline, [&](std::string_view piece) {
    too_much = too_much || answer.size() + piece.size() > kAnswerBytesMax;
    if (!too_much) answer += piece;
  });
  if (!asked) return Fail(asked.error());
  if (too_much) return Fail(Code::kTooLarge, "its answer is too large");
  return answer;
}

Status AgentCaller::Follow(const AgentQuestion& question, Deadline deadline,
                           const OnPiece& on_piece) {
  Call call{.question = question, .deadline = deadline, .on_piece = on_piece};
  io::RunBlocking(loop_, Run(*this, call));
  return call.outcome;
}

void AgentCaller::Cancel() {
  loop_.Post([this] {
    if (scope_ != nullptr) scope_->Stop();
  });
}

io::Task<void> AgentCaller::Run(AgentCaller& caller, Call& call) {
  io::TaskScope scope(caller.loop_);
  caller.scope_ = &scope;
  scope.Spawn("ask agent", Exchange(caller, call));
  co_await scope.Join();
  caller.scope_ = nullptr;
}

io::Task<void> AgentCaller::Exchange(AgentCaller& caller, Call& call) {
  auto response = co_await caller.client_.Send(caller.origin_,
                                               {.method = call.question.method,
                                                .target = call.question.path,
                                                .content_type = "application/json",
                                                .body = call.question.body,
                                                .fields = caller.fields_},
                                               call.deadline);
  if (!response) {
    call.outcome = Fail(response.error());
    co_return;
  }
  http::ClientResponse& answer = **response;
  if (answer.status() != 200) {
    const int status = answer.status();
    const auto text = co_await answer.ReadAll(kAnswerBytesMax, call.deadline);
    call.outcome =
        text ? Status(Fail(CodeOfHttpStatus(status), ErrorMessageOf(*text))) : Fail(text.error());
    co_return;
  }
  while (!answer.ended()) {
    const auto piece = co_await answer.Next(call.deadline);
    if (!piece) {
      call.outcome = Fail(piece.error());
      co_return;
    }
    for (const std::string_view part : piece->payload) call.on_piece(part);
  }
  call.outcome = {};
}

}  // namespace penstock::bench
