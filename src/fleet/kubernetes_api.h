// KubernetesApi: single requests to an API server over HTTPS, with the retries that it asks for.
//
// One thread at a time, which blocks. The token is read from its file for each request, for it is
// exchanged while a pod lives.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "http/client.h"
#include "http/origin.h"
#include "http/url.h"
#include "io/epoll/epoll_loop.h"
#include "io/task.h"

namespace penstock::fleet {

struct KubernetesAccess {
  std::string url = {};         // "https://host:port"; "": of the pod that this runs in.
  std::string token_file = {};  // "": the pod's own, if there is one.
  std::string ca_file = {};     // PEM; "": the pod's own, else the system's.
  Duration call_max = std::chrono::seconds(10);  // For one call, its retries included.
};

inline constexpr int kApiAttemptsMax = 4;
inline constexpr Duration kApiBackoffMin = std::chrono::milliseconds(100);
inline constexpr Duration kApiBackoffMax = std::chrono::seconds(5);
inline constexpr std::size_t kApiAnswerMax = std::size_t{16} << 20;

// How long to wait before attempt `attempt` (2 upward): doubling, half of it by chance, and never
// less than the server asked for.
Duration ApiBackoff(int attempt, Duration asked, Random& random);

struct ApiReply {
  int status = 0;
  std::string body;
};

class KubernetesApi {
 public:
  // Fills what is "" from the pod's own account. Errors: kInvalidArgument, naming what is missing.
  static Result<std::unique_ptr<KubernetesApi>> Open(KubernetesAccess access);

  // Any answer but 429, 5xx and a 401 upon which the token file has changed, which are tried again.
  // `body`: a merge patch; "" for GET. Errors: kUnavailable, kDeadline, kUpstream, kInvalidArgument
  // (the token's file); kRateLimited and kUpstream of an answer after the last attempt.
  Result<ApiReply> Call(std::string_view method, const std::string& target,
                        const std::string& body = {});

  const std::string& url() const { return access_.url; }

 private:
  KubernetesApi(KubernetesAccess access, http::Url url);
  static io::Task<void> Run(KubernetesApi& api, std::string_view method, std::string target,
                            std::string body, Result<ApiReply>& reply);
  io::Task<Result<ApiReply>> Try(std::string_view method, std::string target, std::string body,
                                 Deadline deadline);
  io::Task<Result<ApiReply>> TryOnce(std::string_view method, const std::string& target,
                                     const std::string& body, const std::string& token,
                                     Deadline deadline, Duration& asked);
  Result<std::string> Token() const;
  Status Resolve();

  KubernetesAccess access_;
  http::Url url_;
  io::EpollLoop loop_;
  http::Client client_;
  http::Origin origin_;
  bool resolved_ = false;
  Random random_;
};

}  // namespace penstock::fleet
