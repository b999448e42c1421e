// CallOn: runs a function on another loop's thread and brings its answer home.
#pragma once

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "io/event.h"
#include "io/loop.h"
#include "io/task.h"

namespace penstock::io {

// Runs `function` on `target`'s thread and gives what it returns (not void) on `home`'s, where the
// caller runs. The function runs even when the caller is cancelled meanwhile: its answer is dropped
// then, and the caller gets Code::kCancelled. Both loops must be running, and outlive the call.
template <typename Function>
Task<Result<std::invoke_result_t<Function&>>> CallOn(Loop& home, Loop& target, Function function) {
  struct Call {
    explicit Call(Loop& loop) : done(loop) {}
    Event done;
    std::optional<std::invoke_result_t<Function&>> answer;
  };
  auto call = std::make_shared<Call>(home);
  // Only the home thread touches the Call's event, and the last owner is released there.
  target.Post([call, &home, function = std::move(function)]() mutable {
    auto answer = function();
    home.Post([call = std::move(call), answer = std::move(answer)]() mutable {
      call->answer = std::move(answer);
      call->done.Set();
    });
  });
  const Status done = co_await call->done.Wait(Deadline::Never());
  if (!done) co_return Fail(done.error());
  co_return std::move(*call->answer);
}

}  // namespace penstock::io
