// What a router keeps for each route that it knows and nobody uses: the bytes that are allocated beside the
// keys themselves, with N keys of N containers, all placed, each routed once; and what the first route of
// such a key costs. Virtual time, and a store and a dispatcher in this process, whose memory is not counted.
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/router/fixture.h"

namespace fastcontainer {
namespace {

constexpr int kHosts = 100;
constexpr int kAtOnce = 1'000;

size_t Allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

std::string KeyOf(int i) { return absl::StrCat("customer-", i, ".example.test"); }

class CacheBenchmark : public RouterTest {
 public:
  void TestBody() override {}

  void Fill(int count) {
    for (int i = 0; i < kHosts; ++i) {
      Host host;
      host.incarnation = 1;
      host.address = "127.0.0.1";
      host.dispatcher_port = static_cast<uint16_t>(at.port + i - 1);  // h1 answers for all
      store->Put(RecordKey(RecordKind::kHost, absl::StrCat("h", i)), EncodeHost(host));
    }
    Placement placement;
    placement.by = "proxy-17";
    placement.reason = "new";
    for (int i = 0; i < count; ++i) {
      const std::string name = absl::StrCat("site-", i);
      placement.replicas = {
          {0, static_cast<uint64_t>(1 + i % 50), "h1",
           absl::StrCat(absl::Hex(0x8f00aa1122334455u + static_cast<uint64_t>(i) * 0x10001u),
                        absl::Hex(0x9f00aa1122334455u + static_cast<uint64_t>(i) * 0x70003u))}};
      placement.spec_revision = absl::StrCat(100 + i);
      placement.at_ms = 1'750'000'000'000 + i * 37;
      store->Put(RecordKey(RecordKind::kSpec, name),
                 absl::StrCat(R"({"v":1,"class":"php","command":["php","-S","$ADDRESS:$PORT","-t","/srv/)",
                              name, R"("],"environment":{"SITE":")", name, R"("},"concurrency":8})"));
      store->Put(RecordKey(RecordKind::kPlacement, name), EncodePlacement(placement));
      store->Put(RecordKey(RecordKind::kKey, KeyOf(i)), EncodeKey({name}));
    }
  }

  void VisitAll(int count) {
    for (int i = 0; i < count; i += kAtOnce) {
      for (int j = i; j < std::min(count, i + kAtOnce); ++j) Visit(KeyOf(j));
      Advance(kSecond);
      h1.asked.clear();
    }
  }

  void Visit(const std::string& key) {
    router->Route(
        key, {}, &ticket_, nullptr,
        [](void* user_data, RouteCode code, const Ticket* ticket, const RouteError* error) {
          if (code != RouteCode::kOk) {
            std::fprintf(stderr, "cache: %s\n", error->message.c_str());
            std::exit(1);
          }
          static_cast<CacheBenchmark*>(user_data)->router->EndTicket(ticket->id, Outcome::kOk, 0);
        },
        this);
  }

  void Run(int count) {
    options.queue_total = static_cast<uint32_t>(count) + 1;
    Fill(count);
    malloc_trim(0);
    const size_t before = Allocated();
    Begin();
    VisitAll(count);
    Advance(60 * kSecond);
    h1.asked = {};
    size_t keys = 0;
    for (int i = 0; i < count; ++i) keys += KeyOf(i).size();
    const double each = static_cast<double>(Allocated() - before) / count;
    const double key = static_cast<double>(keys) / count;
    std::printf("{\"routes\":%d,\"bytes\":%.1f,\"bytes_of_key\":%.1f,\"in_use\":%llu}\n", count, each - key,
                key, static_cast<unsigned long long>(router->Stats().containers));
  }

 private:
  Ticket ticket_;
};

}  // namespace
}  // namespace fastcontainer

int main(int argc, char** argv) {
  fastcontainer::CacheBenchmark benchmark;
  benchmark.Run(argc > 1 ? std::atoi(argv[1]) : 1'000'000);
  return 0;
}
