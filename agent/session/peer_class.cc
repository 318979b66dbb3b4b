#include "agent/session/peer_class.h"
