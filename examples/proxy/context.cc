#include "examples/proxy/context.h"

#include "examples/proxy/downstream.h"

namespace proxy {

namespace {

constexpr uint64_t kLingerMs = 2000;
constexpr size_t kMostSpare = 256;

}  // namespace

Context::Context(uv_loop_t* own_loop, const Config& own_config)
    : loop(own_loop),
      config(own_config),
      pools(this),
      header(config.timeouts.header, Downstream::OnTimeout),
      idle(config.timeouts.idle, Downstream::OnTimeout),
      body(config.timeouts.body, Downstream::OnTimeout),
      send(config.timeouts.send, Downstream::OnSendTimeout),
      linger(kLingerMs, Downstream::OnTimeout),
      connect(config.timeouts.connect, Upstream::OnTimeout),
      response(config.timeouts.response, Upstream::OnTimeout),
      tunnel(config.timeouts.tunnel, Upstream::OnTimeout),
      upstream_idle(config.timeouts.upstream_idle, Upstream::OnTimeout),
      hold(config.timeouts.hold, Exchange::OnHeldLongEnough) {}

Context::~Context() = default;

void Context::Expire() {
  // The client's first: if both sides have waited for the same time it is the one that owes bytes.
  for (TimeoutQueue* queue :
       {&header, &idle, &body, &send, &linger, &connect, &response, &tunnel, &upstream_idle, &hold}) {
    queue->Expire(now());
  }
  if (spare_exchanges.size() > kMostSpare) spare_exchanges.resize(kMostSpare);
}

std::string_view Context::Date() {
  const std::time_t second = std::time(nullptr);
  if (second != date_second_) {
    date_second_ = second;
    tm utc{};
    gmtime_r(&second, &utc);
    char text[32];
    date_.assign(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc));
  }
  return date_;
}

}  // namespace proxy
