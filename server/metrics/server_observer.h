// Everything that the server has to tell besides its answers.

#ifndef MXTALLY_SERVER_METRICS_SERVER_OBSERVER_H_
#define MXTALLY_SERVER_METRICS_SERVER_OBSERVER_H_

#include "server/auth/observer.h"
#include "server/ingest/observer.h"
#include "server/listener/observer.h"

namespace mxtally {

class ServerObserver : public IngestObserver, public AuthObserver, public ConnectionObserver {};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_METRICS_SERVER_OBSERVER_H_
