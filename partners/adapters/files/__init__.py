"""Partners who work with mail and spreadsheets: order sheets go out as attachments, answers come back as files.

Their letters are written in `letters`, put into mails by `mails` and sent by `smtp`; what comes is fetched by `mailbox`
or `folder`, opened by `received`, and understood in `judging`.
"""
