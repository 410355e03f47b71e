"""What can be called."""

from collections.abc import Mapping

from edge.web.voipms import account, dids, history, phonebook, sending, subaccounts
from edge.web.voipms.call import Method

METHODS: Mapping[str, Method] = {
    "sendSMS": Method(sending.send_sms, changes=True),
    "sendMMS": Method(sending.send_mms, changes=True),
    "getSMS": Method(history.get_sms),
    "getMMS": Method(history.get_mms),
    "getMediaMMS": Method(history.get_media),
    "deleteSMS": Method(history.delete_sms, changes=True),
    "deleteMMS": Method(history.delete_mms, changes=True),
    "getResellerSMS": Method(history.get_for_reseller),
    "getResellerMMS": Method(history.get_for_reseller),
    "setSMS": Method(dids.set_sms, changes=True),
    "getDIDsInfo": Method(dids.get_dids_info),
    "getPhonebook": Method(phonebook.get_phonebook),
    "setPhonebook": Method(phonebook.set_phonebook, changes=True),
    "delPhonebook": Method(phonebook.del_phonebook, changes=True),
    "getPhonebookGroups": Method(phonebook.get_groups),
    "setPhonebookGroup": Method(phonebook.set_group, changes=True),
    "delPhonebookGroup": Method(phonebook.del_group, changes=True),
    "getSubAccounts": Method(subaccounts.get_sub_accounts),
    "createSubAccount": Method(subaccounts.create_sub_account, changes=True),
    "setSubAccount": Method(subaccounts.set_sub_account, changes=True),
    "delSubAccount": Method(subaccounts.del_sub_account, changes=True),
    "getRegistrationStatus": Method(subaccounts.get_registration_status),
    "getBalance": Method(account.get_balance),
    "getIP": Method(account.get_ip, anywhere=True),
}
