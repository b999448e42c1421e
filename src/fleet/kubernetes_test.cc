// The Kubernetes driver's values: what is parsed, and which pod stands in which place. The driver
// as a whole is tested by tests/kubernetes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/random.h"
#include "fleet/kubernetes_api.h"
#include "fleet/kubernetes_backend.h"
#include "fleet/kubernetes_objects.h"
#include "fleet/kubernetes_places.h"

namespace penstock::fleet {
namespace {

using State = KubernetesPlaces::State;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{std::chrono::hours(1)};

KubernetesPod Pod(const std::string& name, bool ready = true, bool terminating = false) {
  return {.name = name, .address = name + ":1", .ready = ready, .terminating = terminating};
}

TEST(KubernetesObjects, ScaleAndDeployment) {
  const auto scale =
      ParseScale(R"({"kind":"Scale","metadata":{"resourceVersion":"7"},"spec":{"replicas":3}})");
  ASSERT_TRUE(scale);
  EXPECT_EQ(scale->replicas, 3);
  EXPECT_EQ(scale->resource_version, "7");
  // Zero is left out by the server; a Deployment's default is one.
  EXPECT_EQ(
      ParseScale(R"({"kind":"Scale","metadata":{"resourceVersion":"7"},"spec":{}})")->replicas, 0);
  const auto deployment =
      ParseDeployment(R"({"kind":"Deployment","metadata":{"resourceVersion":"8","annotations":)"
                      R"({"penstock.io/pool":"abc-p1"}},"spec":{}})");
  ASSERT_TRUE(deployment);
  EXPECT_EQ(deployment->replicas, 1);
  EXPECT_EQ(deployment->holder, "abc-p1");
  EXPECT_EQ(ParseScale("[]").error().code, Code::kUpstream);
  EXPECT_EQ(ParseScale(R"({"kind":"Deployment"})").error().code, Code::kUpstream);
  EXPECT_EQ(ParseScale(R"({"kind":"Scale","metadata":{},"spec":{"replicas":1}})").error().code,
            Code::kUpstream);
}

TEST(KubernetesObjects, SlicesOfBothFamiliesConditionsAndNamedPorts) {
  const std::string text = R"({"kind":"EndpointSliceList","metadata":{"continue":"more"},"items":[
    {"addressType":"IPv4","ports":[{"name":"metrics","port":9},{"name":"http","port":80}],
     "endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true},
                   "targetRef":{"kind":"Pod","name":"a"}},
                  {"addresses":["10.0.0.2"],"conditions":{"ready":false,"terminating":true},
                   "targetRef":{"kind":"Pod","name":"b"}},
                  {"addresses":["10.0.0.3"]},{"addresses":[]},7]},
    {"addressType":"IPv6","ports":[{"name":"http","port":80}],
     "endpoints":[{"addresses":["fd00::1"],"conditions":{"ready":null},
                   "targetRef":{"kind":"Pod","name":"c"}}]},
    {"addressType":"FQDN","ports":[{"name":"http","port":80}],
     "endpoints":[{"addresses":["example.org"]}]},
    {"addressType":"IPv4","ports":null,"endpoints":null}]})";
  const auto slices = ParseEndpointSlices(text, "http");
  ASSERT_TRUE(slices);
  EXPECT_EQ(slices->next_page, "more");
  ASSERT_EQ(slices->pods.size(), 4u);
  EXPECT_EQ(slices->pods[0], (KubernetesPod{"a", "10.0.0.1:80", true, false}));
  EXPECT_EQ(slices->pods[1], (KubernetesPod{"b", "10.0.0.2:80", false, true}));
  EXPECT_EQ(slices->pods[2].name, "10.0.0.3:80");
  EXPECT_TRUE(slices->pods[2].ready);
  EXPECT_EQ(slices->pods[3], (KubernetesPod{"c", "[fd00::1]:80", true, false}));
  EXPECT_EQ(ParseEndpointSlices(text, "")->pods[0].address, "10.0.0.1:9");
  EXPECT_TRUE(ParseEndpointSlices(text, "grpc")->pods.empty());
}

TEST(KubernetesObjects, APodInTwoSlicesIsOneAndTheReadyOneCounts) {
  std::vector<KubernetesPod> pods = {Pod("a", false), Pod("b")};
  MergePods(pods, {Pod("a", true), Pod("b", false), Pod("c")});
  ASSERT_EQ(pods.size(), 3u);
  EXPECT_TRUE(pods[0].ready);
  EXPECT_TRUE(pods[1].ready);
}

TEST(KubernetesObjects, TargetsAndTheirErrors) {
  const auto target = ParseKubernetesTarget("main.m.llama/2=vllm-8b/vllm:http");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->model, "main.m.llama/2");
  EXPECT_EQ(target->deployment, "vllm-8b");
  EXPECT_EQ(target->service, "vllm");
  EXPECT_EQ(target->port_name, "http");
  EXPECT_EQ(ParseKubernetesTarget("m=d")->service, "d");
  for (const char* bad : {"", "m", "=d", "m=", "m=D", "m=d/", "m=d:", "m=d/../secrets", "m=d?x"}) {
    const auto refused = ParseKubernetesTarget(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().field, "--kubernetes-deployment");
  }
}

TEST(KubernetesApi, BackoffDoublesIsBoundedAndHeedsTheServer) {
  Random random(1);
  for (int attempt = 2; attempt < 20; ++attempt) {
    const Duration delay = ApiBackoff(attempt, {}, random);
    EXPECT_GE(delay, kApiBackoffMin / 2);
    EXPECT_LE(delay, kApiBackoffMax);
    EXPECT_EQ(ApiBackoff(attempt, seconds(9), random), seconds(9));
  }
}

TEST(KubernetesApi, NeedsAnAddressOutsideOfAPod) {
  const auto api = KubernetesApi::Open({});
  ASSERT_FALSE(api);
  EXPECT_EQ(api.error().field, "--kubernetes-url");
  const auto token = KubernetesApi::Open({.url = "http://127.0.0.1:1", .token_file = "/no/such"});
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().field, "--kubernetes-token-file");
}

TEST(KubernetesPlaces, APlaceGetsAPodKeepsItAndEndsWithIt) {
  KubernetesPlaces places;
  places.Start("p-0");
  EXPECT_EQ(places.Desired(kStart), 1);
  places.Observe(1, {}, kStart);
  EXPECT_EQ(places.all().at("p-0").state, State::kStarting);
  places.Observe(1, {Pod("x", false), Pod("y")}, kStart);  // The ready one.
  EXPECT_EQ(places.all().at("p-0").pod.name, "y");
  places.Observe(1, {Pod("x")}, kStart);  // Missing once: slices are rewritten.
  EXPECT_EQ(places.all().at("p-0").state, State::kHeld);
  places.Observe(1, {Pod("x")}, kStart);
  EXPECT_EQ(places.all().at("p-0").state, State::kEnded);
  EXPECT_EQ(places.all().at("p-0").reason, "pod y is gone");
  // The Deployment makes another: the place counts until it is started again.
  EXPECT_EQ(places.Desired(kStart), 1);
  EXPECT_EQ(places.Desired(kStart + kReplacementHold), 0);
  places.Start("p-0");
  places.Observe(1, {Pod("x")}, kStart);
  EXPECT_EQ(places.all().at("p-0").pod.name, "x");
}

TEST(KubernetesPlaces, StoppedPlacesEndWhenTheirPodGoesOrIsHandedBack) {
  KubernetesPlaces places;
  places.Start("p-0");
  places.Start("p-1");
  places.Observe(2, {Pod("a"), Pod("b")}, kStart);
  const std::string second = places.all().at("p-1").pod.name;
  EXPECT_EQ(places.Stop("p-1", kStart), second);
  EXPECT_EQ(places.Desired(kStart), 1);
  places.Observe(2, {Pod("a"), Pod("b")}, kStart);  // Not patched yet.
  EXPECT_EQ(places.all().at("p-1").state, State::kLeaving);
  places.Observe(1, {Pod("a"), Pod("b")}, kStart);  // Patched; the controller is slow.
  EXPECT_EQ(places.all().at("p-1").state, State::kLeaving);
  places.Observe(1, {Pod("a"), Pod("b", false, true)}, kStart);
  EXPECT_EQ(places.all().at("p-1").state, State::kEnded);
  EXPECT_EQ(places.all().at("p-0").state, State::kHeld);

  // The controller ends the wrong one: its place ends, and what was left alive serves it again.
  places.Start("p-1");
  places.Observe(2, {Pod("a"), Pod("c")}, kStart);
  places.Stop("p-1", kStart);
  places.Observe(1, {Pod("a", false, true), Pod("c")}, kStart);
  EXPECT_EQ(places.all().at("p-0").state, State::kEnded);
  EXPECT_EQ(places.all().at("p-1").state, State::kEnded);
  places.Start("p-0");
  places.Observe(1, {Pod("c")}, kStart);
  EXPECT_EQ(places.all().at("p-0").pod.name, "c");
}

// A Deployment as its controller moves it, late and by chance, beside random starts and stops.
class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {}

  void Step() {
    now_ += milliseconds(500);
    switch (random_.Below(6)) {
      case 0:
        Begin(fmt::format("p-{}", random_.Below(4)));
        break;
      case 1:
        End(fmt::format("p-{}", random_.Below(4)));
        break;
      case 2:
        if (!pods_.empty()) pods_.erase(pods_.begin() + random_.Below(pods_.size()));
        break;
      default:
        Control();
    }
    Look();
  }
  // Until nothing moves.
  void Settle() {
    now_ += kReplacementHold;
    for (int i = 0; i < 50; ++i) {
      now_ += milliseconds(500);
      Control();
      Look();
    }
    EXPECT_EQ(pods_.size(), wanted_.size());
    std::set<std::string> served;
    for (const auto& [name, place] : places_.all()) {
      EXPECT_EQ(place.state == State::kHeld, wanted_.contains(name)) << name;
      if (place.state == State::kHeld) served.insert(place.pod.name);
    }
    EXPECT_EQ(served.size(), wanted_.size());
    EXPECT_FALSE(places_.leaving());
  }

 private:
  void Begin(const std::string& place) {
    if (!wanted_.insert(place).second) return;
    const auto known = places_.all().find(place);
    if (known != places_.all().end() && known->second.state == State::kLeaving) {
      wanted_.erase(place);  // The reconciler waits for its end.
      return;
    }
    places_.Start(place);
  }
  void End(const std::string& place) {
    if (wanted_.erase(place) > 0) places_.Stop(place, now_);
  }
  void Control() {
    while (static_cast<int>(pods_.size()) > replicas_) {
      pods_.erase(pods_.begin() + random_.Below(pods_.size()));
    }
    if (static_cast<int>(pods_.size()) < replicas_) {
      pods_.push_back(Pod(fmt::format("pod{}", next_++)));
    }
  }
  void Look() {
    if (random_.Below(5) == 0) return;  // It could not be asked.
    const int before = replicas_;
    replicas_ = places_.Desired(now_);
    places_.Observe(before, pods_, now_);
    std::set<std::string> names;
    for (const auto& [name, place] : places_.all()) {
      if (place.pod.name.empty()) continue;
      EXPECT_TRUE(names.insert(place.pod.name).second) << "two places have " << place.pod.name;
    }
    // As the reconciler does: what ended and is wanted is started again.
    for (const std::string& place : wanted_) {
      if (places_.all().at(place).state == State::kEnded) places_.Start(place);
    }
  }

  Random random_;
  TimePoint now_ = kStart;
  KubernetesPlaces places_;
  std::set<std::string> wanted_;
  std::vector<KubernetesPod> pods_;
  int replicas_ = 0;
  int next_ = 0;
};

TEST(KubernetesPlaces, AnyHistoryConvergesWithoutAPodTwice) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    World world(seed);
    for (int i = 0; i < 60; ++i) world.Step();
    world.Settle();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace penstock::fleet
