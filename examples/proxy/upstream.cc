#include "examples/proxy/upstream.h"

#include <algorithm>

#include "examples/proxy/context.h"
#include "examples/proxy/exchange.h"

namespace proxy {

namespace {

// A request that is sent so shortly before the container closes may meet the end on its way.
constexpr uint64_t kCloseMarginMs = 500;

}  // namespace

Upstream::Upstream(Context* context, uint64_t endpoint)
    : Tcp(context->loop, &context->buffer), context_(context), endpoint_(endpoint), timeout_(this) {
  ++context_->metrics.upstream_connections;
}

Upstream::~Upstream() { --context_->metrics.upstream_connections; }

bool Upstream::BeginIdle(const KeepAlive& limits) {
  if (limits.max) {
    requests_left_ = *limits.max;
  } else if (requests_left_ != UINT32_MAX) {
    --requests_left_;
  }
  uint64_t usable = context_->config.timeouts.upstream_idle;
  if (limits.timeout)
    usable = std::min(usable, std::max(*limits.timeout * uint64_t{1000}, kCloseMarginMs) - kCloseMarginMs);
  if (requests_left_ == 0 || usable == 0) return false;
  idle_since_ = context_->now();
  usable_until_ = idle_since_ + usable;
  return true;
}

bool Upstream::Usable() const { return context_->now() < usable_until_ && Quiet(); }

void Upstream::Discard() {
  timeout_.Stop();
  exchange_ = nullptr;
  Close();
}

void Upstream::OnConnected(int status) {
  if (exchange_ != nullptr) exchange_->Connected(status);
}

void Upstream::OnData(std::string_view data) {
  if (exchange_ != nullptr) return exchange_->Received(data);
  // Nothing was asked: it could be taken for the response to a request that comes later.
  context_->pools.Remove(this);
  Discard();
}

void Upstream::OnEnd(int error) {
  if (exchange_ != nullptr) return exchange_->UpstreamEnded(error);
  context_->pools.Remove(this);
  Discard();
}

void Upstream::OnSent() {
  if (exchange_ != nullptr) exchange_->UpstreamSent();
}

void Upstream::OnTimeout(void* upstream) {
  auto* self = static_cast<Upstream*>(upstream);
  if (self->exchange_ != nullptr) return self->exchange_->UpstreamTimedOut();
  self->context_->pools.Remove(self);
  self->Discard();
}

Upstream* Pools::Take(uint64_t endpoint, uint64_t max_idle) {
  const auto found = pools_.find(endpoint);
  if (found == pools_.end() || found->second.empty()) return nullptr;
  while (!found->second.empty()) {
    Upstream* upstream = found->second.back();
    if (context_->now() - upstream->idle_since() > max_idle) return nullptr;
    found->second.pop_back();
    --context_->metrics.upstream_idle;
    upstream->timeout().Stop();
    if (upstream->Usable()) return upstream;
    upstream->Discard();
  }
  return nullptr;
}

void Pools::Put(Upstream* upstream, const KeepAlive& limits) {
  upstream->Attach(nullptr);
  Pool& pool = pools_[upstream->endpoint()];
  if (pool.size() >= context_->config.limits.upstream_idle || !upstream->BeginIdle(limits)) {
    upstream->Discard();
    return Forget(upstream->endpoint());
  }
  pool.push_back(upstream);
  ++context_->metrics.upstream_idle;
  context_->upstream_idle.Start(&upstream->timeout(), context_->now());
  upstream->StartReading();
}

void Pools::Remove(Upstream* upstream) {
  const auto found = pools_.find(upstream->endpoint());
  if (found == pools_.end()) return;
  Pool& pool = found->second;
  const auto at = std::find(pool.begin(), pool.end(), upstream);
  if (at == pool.end()) return;
  pool.erase(at);
  --context_->metrics.upstream_idle;
  if (pool.empty()) pools_.erase(found);
}

void Pools::MakeRoom() {
  if (context_->max_upstreams == 0 || context_->metrics.upstream_connections < context_->max_upstreams)
    return;
  auto* oldest = static_cast<Upstream*>(context_->upstream_idle.Oldest());
  if (oldest == nullptr) return;
  Remove(oldest);
  oldest->Discard();
}

void Pools::Forget(uint64_t endpoint) {
  const auto found = pools_.find(endpoint);
  if (found != pools_.end() && found->second.empty()) pools_.erase(found);
}

void Pools::Drop(uint64_t endpoint) {
  const auto found = pools_.find(endpoint);
  if (found == pools_.end()) return;
  for (Upstream* upstream : found->second) upstream->Discard();
  context_->metrics.upstream_idle -= found->second.size();
  pools_.erase(found);
}

void Pools::Clear() {
  while (!pools_.empty()) Drop(pools_.begin()->first);
}

}  // namespace proxy
