// KubernetesBackend: replicas as pods of Deployments that the operator wrote; this scales them.
//
// Each Deployment is named for a model, and serves one pool at a time: who has it stands in an
// annotation, so that the next server finds it and another one keeps off. Level-triggered: Start()
// and Stop() only say what is wanted; each List() reads the Deployment's scale and the service's
// EndpointSlices (by polling: two small requests for each Deployment in use, no watch to lose) and
// patches the scale where it is not what it should be.
//
// Which pod is to go when one has been drained is told by the annotation pod-deletion-cost, which
// the controller follows where it can.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fleet/kubernetes_namespace.h"
#include "fleet/kubernetes_places.h"
#include "fleet/polled_fleet.h"

namespace penstock::fleet {

struct KubernetesSettings {
  KubernetesAccess access;
  std::string name_space = {};  // "": the pod's own, else "default".
  std::string instance = {};    // Tells servers apart: letters and digits.
  std::vector<KubernetesTarget> targets = {};
};

// Between two tries of a Deployment that could not be asked.
inline constexpr Duration kAskAgainMin = std::chrono::seconds(1);
inline constexpr Duration kAskAgainMax = std::chrono::seconds(30);

class KubernetesBackend : public Backend {
 public:
  // Errors: of KubernetesApi::Open; kInvalidArgument: no target, or a name that is none.
  static Result<std::unique_ptr<KubernetesBackend>> Open(KubernetesSettings settings);

  std::string name() const override { return "kubernetes"; }
  // Answers the place's name. kExhausted: every Deployment of the model has another pool.
  Result<std::string> Start(const ReplicaLaunch& launch) override;
  Status Stop(const std::string& handle, bool kill) override;
  Result<std::vector<ListedReplica>> List() override;
  std::string ReasonOf(const std::string& handle) override;
  std::string TailOf(const std::string&, std::size_t) override { return {}; }
  bool busy() const override;

 private:
  struct Deployment {
    KubernetesTarget target;
    std::string pool = {};  // That has it; "" nobody of ours.
    bool held = false;      // The API server knows.
    KubernetesPlaces places = {};
    int failures = 0;  // Of List(), in a row.
    TimePoint not_before{};
  };

  KubernetesBackend(KubernetesSettings settings, std::unique_ptr<KubernetesApi> api)
      : settings_(std::move(settings)), namespace_(std::move(api), settings_.name_space) {}
  Status ReadHolders();
  Deployment* Find(const std::string& pool);
  Result<Deployment*> Take(const std::string& pool, const ReplicaLaunch& launch);
  Status Bring(Deployment& deployment);
  void NoteAsked(Deployment& deployment, const Status& asked) const;
  std::string HolderOf(const std::string& pool) const { return settings_.instance + "-" + pool; }

  KubernetesSettings settings_;
  KubernetesNamespace namespace_;
  std::vector<Deployment> deployments_;
  bool read_ = false;  // Who has what, once.
};

}  // namespace penstock::fleet
