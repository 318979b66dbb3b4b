#include "agent/uplink/uplink.h"
