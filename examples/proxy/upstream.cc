#include "examples/proxy/upstream.h"

#include <algorithm>

#include "examples/proxy/context.h"
#include "examples/proxy/exchange.h"

namespace proxy {

Upstream::Upstream(Context* context, uint64_t endpoint)
    : Tcp(context->loop, &context->buffer), context_(context), endpoint_(endpoint), timeout_(this) {}

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
  Upstream* upstream = found->second.back();
  if (context_->now() - upstream->idle_since() > max_idle) return nullptr;
  found->second.pop_back();
  --context_->metrics.upstream_idle;
  upstream->timeout().Stop();
  return upstream;
}

void Pools::Put(Upstream* upstream) {
  Pool& pool = pools_[upstream->endpoint()];
  upstream->Attach(nullptr);
  if (pool.size() >= context_->config.limits.upstream_idle) return upstream->Discard();
  pool.push_back(upstream);
  ++context_->metrics.upstream_idle;
  upstream->set_idle_since(context_->now());
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
