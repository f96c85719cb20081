// What the opaque handles of the C ABI are.
#ifndef FASTCONTAINER_CAPI_HANDLE_H_
#define FASTCONTAINER_CAPI_HANDLE_H_

#include <pthread.h>

#include <cassert>
#include <memory>

#include "capi/call_table.h"
#include "capi/include/fastcontainer.h"
#include "capi/vtable_ops.h"
#include "fastcontainer/engine.h"

struct fc_engine {
  fc_engine() : calls(this), thread(pthread_self()) {}

  fastcontainer::capi::VtableOps ops;  // outlives the engine, whose drivers still have operations in it
  fastcontainer::capi::CallTable calls;
  std::unique_ptr<fastcontainer::Engine> engine;
  const pthread_t thread;
  bool processing = false;
  bool closing = false;

  // Everything but fc_engine_wake(), fc_op_complete() and fc_engine_set_scores() belongs to the loop's
  // thread.
  void AssertThread() const { assert(pthread_equal(thread, pthread_self()) && "not the engine's thread"); }
};

struct fc_dispatcher {
  fc_engine* engine = nullptr;
  fastcontainer::DispatcherHost* host = nullptr;
};

#endif  // FASTCONTAINER_CAPI_HANDLE_H_
