// AgentCaller: one request at a time to one agent, from a thread that may wait for it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/client.h"
#include "io/address.h"
#include "io/epoll/epoll_loop.h"
#include "io/task_scope.h"
#include "io/tls.h"

namespace penstock::bench {

struct AgentTarget {
  io::Address address;
  std::string key;                            // "" shows none.
  std::shared_ptr<const io::TlsContext> tls;  // Null: plain.
};

struct AgentQuestion {
  std::string_view method = "POST";
  std::string path;
  std::string body{};
};

class AgentCaller {
 public:
  explicit AgentCaller(const AgentTarget& target);

  // The whole answer. Errors: of the connection; the agent's own, by its status.
  Result<std::string> Ask(const AgentQuestion& question, Deadline deadline);
  // The same, telling each piece of a good answer as it comes.
  using OnPiece = std::function<void(std::string_view)>;
  Status Follow(const AgentQuestion& question, Deadline deadline, const OnPiece& on_piece);
  // Any thread: gives up.
  void Cancel();

 private:
  struct Call;
  static io::Task<void> Run(AgentCaller& caller, Call& call);
  static io::Task<void> Exchange(AgentCaller& caller, Call& call);

  io::EpollLoop loop_;
  http::Client client_;
  http::Origin origin_;
  std::string authorization_;
  std::vector<http::Field> fields_;
  io::TaskScope* scope_ = nullptr;
};

}  // namespace penstock::bench
